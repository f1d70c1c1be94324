//go:build unix

package coherence_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
		if err != nil {
			t.Fatal(err)
		}
		acquire := func(name string) provider.Lease {
			grants, err := store.Acquire(t.Context(), []provider.Key{{Scope: scopeName, Name: name}}, time.Minute)
			if err != nil || grants[0].State != provider.LeaseGranted {
				t.Fatalf("Acquire = %v, %v; want a lease", grants, err)
			}
			return grants[0].Lease
		}
		acquire("warm")
		tap := proxy.Record(func(c redistest.Command) bool { return c.Name() == "EVALSHA" })
		lease := acquire("key")
		tap.Stop()
		if err := store.Delete(t.Context(), lease.Key); err != nil {
			t.Fatal(err)
		}
		tap.Replay(t)
		grants, err := store.Acquire(t.Context(), []provider.Key{lease.Key}, time.Minute)
		if err != nil || grants[0].State != provider.LeaseBusy {
			t.Fatalf("Acquire = %v, %v; the copy has planted no lease: the test tests nothing", grants, err)
		}
		filled, err := store.Fill(t.Context(), []provider.Fill{{Lease: lease, Entry: provider.Entry{Value: "old"}, TTL: time.Minute}})
		if err != nil || filled[0].Stored {
			t.Errorf("Fill = %v, %v (fence %v); want that what was loaded before the invalidation is not stored", filled, err, fence)
		}
	}
}
