package near_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
)

// uninspected is a near cache of a far store that is no provider.Inspector.
type uninspected struct {
	provider.CacheProvider
	provider.Batcher
	provider.Encoder
	provider.Leaser
	provider.Refresher
	provider.Renewer
	provider.Holder
	provider.NearCache
	provider.Punctual
	io.Closer
}

func TestConformance(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(map[bool]string{true: "strict", false: "bounded"}[strict], func(t *testing.T) {
			providertest.RunSynctest(t, func(t *testing.T) provider.CacheProvider {
				const long = 10 * time.Minute // some cases sleep for hours, with a heartbeat in each part of it
				options := near.Options{Strict: strict}
				if !strict {
					options.Window = long
				}
				store, err := near.New(neartest.NewStore(t.Context(), neartest.NewServer(), long), options)
				require.NoError(t, err)
				t.Cleanup(func() { _ = store.Close() })
				time.Sleep(2 * long) // until it is a member, and the epoch is older than a lease
				return uninspected{store, store, store, store, store, store, store, store, store, store}
			})
		})
	}
}

// TestOneProcess: what is loaded is in memory, what is invalidated is not.
func TestOneProcess(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		p := fleet(t, neartest.NewServer(), 1, options)[0]
		p.wantRead("k", 1, readthrough.FromLoad)
		p.wantRead("k", 1, readthrough.FromNear)
		p.write("k")
		p.wantRead("k", 2, readthrough.FromLoad)
		p.wantRead("k", 2, readthrough.FromNear)
		assert.EqualValues(t, 2, p.loads.Load())
		stats := p.scope.Stats()
		assert.EqualValues(t, 2, stats.NearHits)
		assert.EqualValues(t, 2, stats.Hits)
	})
}

// TestTwoProcesses: an invalidation reaches the memory of another process.
func TestTwoProcesses(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		a.wantRead("k", 1, readthrough.FromLoad)
		b.wantRead("k", 1, readthrough.FromStore)
		b.wantRead("k", 1, readthrough.FromNear)
		a.write("k")
		if !options.Strict {
			settle()
		}
		b.wantRead("k", 2, readthrough.FromLoad)
		a.wantRead("k", 2, readthrough.FromStore)
		a.wantRead("k", 2, readthrough.FromNear)
		assert.Zero(t, a.near.NearStats().Membership.Unacknowledged)
	})
}
