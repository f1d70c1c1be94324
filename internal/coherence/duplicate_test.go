//go:build unix

package coherence_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestDuplicateAcquire delivers the request for a lease a second time after an
// invalidation, as a proxy between client and server may do that sends requests
// again. The holder of the first lease must not be able to fill the second one:
// it loaded before the invalidation. [TestFaults] found this one.
func TestDuplicateAcquire(t *testing.T) {
	for _, fence := range []bool{false, true} {
		s := redistest.StartReal(t, redistest.Options{})
		proxy := redistest.NewProxy(t, s.Addr())
		client := redis.NewClient(&redis.Options{Addr: proxy.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		store, err := redisprovider.New(client, redisprovider.Options{KeyPrefix: keyPrefix, FenceByServer: fence})
		require.NoError(t, err)
		acquire := func(name string) provider.Lease {
			grants, err := store.Acquire(t.Context(), []provider.Key{{Scope: scopeName, Name: name}}, time.Minute)
			require.NoError(t, err, "want a lease")
			require.Equal(t, provider.LeaseGranted, grants[0].State, "want a lease")
			return grants[0].Lease
		}
		acquire("warm")
		tap := proxy.Record(func(c redistest.Command) bool { return c.Name() == "EVALSHA" })
		lease := acquire("key")
		tap.Stop()
		require.NoError(t, store.Delete(t.Context(), lease.Key))
		tap.Replay(t)
		grants, err := store.Acquire(t.Context(), []provider.Key{lease.Key}, time.Minute)
		require.NoError(t, err, "the copy has planted no lease: the test tests nothing")
		require.Equal(t, provider.LeaseBusy, grants[0].State, "the copy has planted no lease: the test tests nothing")
		filled, err := store.Fill(t.Context(), []provider.Fill{{Lease: lease, Entry: provider.Entry{Value: "old"}, TTL: time.Minute}})
		if assert.NoError(t, err, "fence %v: want that what was loaded before the invalidation is not stored", fence) {
			assert.False(t, filled[0].Stored, "fence %v: want that what was loaded before the invalidation is not stored", fence)
		}
	}
}
