package near_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// requests counts the requests of p by their names, without those of the membership.
func (p *process) requests() *atomic.Int64 {
	var n atomic.Int64
	p.far.On(neartest.Sent, func(_ context.Context, op string) error {
		switch op {
		case "beat", "ack", "roll", "remove":
		default:
			n.Add(1)
		}
		return nil
	})
	return &n
}

// TestBulkReads are partly in the memory, partly in the far store, and partly loaded, in the round trips of
// a cache without a near cache.
func TestBulkReads(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		warm([]*process{b}, "near")
		a.read("far")
		a.source.Store(2)
		n := b.requests()
		want := map[string]int64{"near": 1, "far": 1, "new": 2}
		assert.Equal(t, want, b.readMany("near", "far", "new"))
		assert.EqualValues(t, 3, n.Load(), "get, acquire, fill")
		assert.EqualValues(t, 2, b.loads.Load())
		n.Store(0)
		assert.Equal(t, want, b.readMany("near", "far", "new"))
		assert.Zero(t, n.Load(), "requests when all are near")
		stats := b.scope.Stats()
		assert.EqualValues(t, 2+1+3, stats.NearHits)
		assert.EqualValues(t, 2+2+3, stats.Hits)
	})
}

// TestAbsences are kept, too.
func TestAbsences(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		for _, p := range all {
			load := func(context.Context) (*box, error) {
				p.loads.Add(1)
				return nil, readthrough.ErrNotFound
			}
			for range 3 {
				_, err := readthrough.Wrap(t.Context(), p.scope, "none", load)
				require.ErrorIs(t, err, readthrough.ErrNotFound)
			}
		}
		assert.EqualValues(t, 1, all[0].loads.Load()+all[1].loads.Load())
		n := all[1].requests()
		_, err := readthrough.Wrap(t.Context(), all[1].scope, "none", all[1].load)
		require.ErrorIs(t, err, readthrough.ErrNotFound)
		assert.Zero(t, n.Load())
		all[0].write("none")
		pass(options)
		all[1].wantRead("none", 2, readthrough.FromLoad)
	})
}

// TestValuesAreDecodedOnce: a value is decoded when it comes from the far store, and all readers get it.
func TestValuesAreDecodedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		all := fleet(t, neartest.NewServer(), 2, near.Options{})
		all[0].read("k")
		read := func() *box {
			v, err := readthrough.Wrap(t.Context(), all[1].scope, "k", all[1].load)
			require.NoError(t, err)
			return v
		}
		first := read()
		assert.Same(t, first, read())
		assert.Same(t, first, read())
	})
}

// TestLifeIsNotLonger than in the far store: what has two seconds left there has two here.
func TestLifeIsNotLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server, source := neartest.NewServer(), new(atomic.Int64)
		options := readthrough.ScopeOptions{TTL: 10 * time.Second, Jitter: -1}
		a := join(t, server, source, near.Options{}, options)
		b := join(t, server, source, near.Options{}, options)
		settle()
		a.read("k")
		time.Sleep(8 * time.Second)
		source.Store(1)
		b.wantRead("k", 0, readthrough.FromStore)
		time.Sleep(2*time.Second - 1)
		b.wantRead("k", 0, readthrough.FromNear)
		a.wantRead("k", 0, readthrough.FromNear)
		time.Sleep(1)
		b.wantRead("k", 1, readthrough.FromLoad)
	})
}

// TestTTL of the near cache ends an entry earlier.
func TestTTL(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := fleet(t, neartest.NewServer(), 1, near.Options{TTL: 3 * time.Second})[0]
		p.read("k")
		time.Sleep(3*time.Second - 1)
		p.wantRead("k", 1, readthrough.FromNear)
		time.Sleep(1)
		p.wantRead("k", 1, readthrough.FromStore)
		p.wantRead("k", 1, readthrough.FromNear)
	})
}

// TestFarOnly keeps a scope out of the memory.
func TestFarOnly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server, source := neartest.NewServer(), new(atomic.Int64)
		p := join(t, server, source, near.Options{}, readthrough.ScopeOptions{TTL: time.Minute, FarOnly: true})
		settle()
		p.read("k")
		for range 3 {
			p.wantRead("k", 0, readthrough.FromStore)
		}
		assert.Zero(t, p.near.NearStats().Entries)
		assert.Zero(t, p.scope.Stats().NearHits)
	})
}

// TestRefreshIsTold: an entry that is replaced is dropped in other processes, although it was not
// invalidated.
func TestRefreshIsTold(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		a.source.Store(2)
		got, err := readthrough.Refresh(t.Context(), a.scope, "k", a.load)
		require.NoError(t, err)
		assert.EqualValues(t, 2, got.N)
		synctest.Wait()
		a.wantRead("k", 2, readthrough.FromStore)
		b.wantRead("k", 2, readthrough.FromStore)
		b.wantRead("k", 2, readthrough.FromNear)
	})
}

// TestPut leaves the old value in no memory.
func TestPut(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		_, err := readthrough.Put(t.Context(), a.scope, "k", func(context.Context) (*box, error) {
			a.source.Store(2)
			return &box{2}, nil
		})
		require.NoError(t, err)
		pass(options)
		a.wantRead("k", 2, readthrough.FromNear)
		b.wantRead("k", 2, readthrough.FromStore)
	})
}

// TestReplicaLag: while the source lags, nothing comes into a memory.
func TestReplicaLag(t *testing.T) {
	modes(t, func(t *testing.T, mode near.Options) {
		server, source := neartest.NewServer(), new(atomic.Int64)
		options := readthrough.ScopeOptions{TTL: time.Minute, ReplicaLag: 5 * time.Second}
		a := join(t, server, source, mode, options)
		b := join(t, server, source, mode, options)
		settle()
		warm([]*process{a, b}, "k")
		require.NoError(t, a.scope.Invalidate(t.Context(), "k")) // the replica has it later
		pass(mode)
		b.wantRead("k", 0, readthrough.FromLoad)
		b.wantRead("k", 0, readthrough.FromLoad)
		source.Store(1)
		time.Sleep(5 * time.Second)
		b.wantRead("k", 1, readthrough.FromLoad)
		b.wantRead("k", 1, readthrough.FromNear)
	})
}

// TestPending: what could not be removed is not read from the memory of the process that tried.
func TestPending(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		a.far.CutData.Store(true)
		a.source.Add(1)
		err := a.scope.Invalidate(t.Context(), "k")
		require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		a.wantRead("k", 2, readthrough.FromLoad)
		a.wantRead("k", 2, readthrough.FromLoad)
		a.far.CutData.Store(false)
		time.Sleep(10 * time.Second)
		assert.Zero(t, a.scope.Stats().Pending)
		b.wantRead("k", 2, readthrough.FromLoad)
	})
}

// TestUnacknowledged: if the time of an invalidation is shorter than the lease of a member that has died, it
// is pending, and then confirmed when the lease is over. It is no failure of the store.
func TestUnacknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		b := fleet(t, server, 1, near.Options{Strict: true})[0]
		a := joinWith(t, server, b.source, near.Options{Strict: true}, readthrough.ScopeOptions{TTL: time.Minute},
			readthrough.Options{InvalidateTimeout: lease / 2})
		settle()
		scope := a.scope
		warm([]*process{a, b}, "k")
		b.far.CutData.Store(true)
		b.far.CutSubscription.Store(true)
		for i := range 10 {
			err := scope.Invalidate(t.Context(), fmt.Sprint("k", i))
			if i == 0 {
				require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
				require.ErrorIs(t, err, provider.ErrUnacknowledged)
			}
		}
		time.Sleep(3 * lease)
		assert.Zero(t, scope.Stats().Pending)
		assert.NotZero(t, a.near.NearStats().Membership.Unacknowledged)
		require.NoError(t, scope.Invalidate(t.Context(), "k"))
	})
}

// TestBadOptions and stores that cannot have a near cache are refused.
func TestBadOptions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		for want, options := range map[string]near.Options{
			"near: Options.Window: -1ns: must not be negative":            {Window: -1},
			"near: Options.Window: 1ms: must be at least 20ms":            {Window: time.Millisecond},
			"near: Options.Window: 1s: has no meaning with Strict":        {Window: time.Second, Strict: true},
			"near: Options.TTL: -1ns: must not be negative":               {TTL: -1},
			"near: Options: memory: Options.MaxEntries -1":                {MaxEntries: -1},
			"near: Options: memory: Options.MaxWeight 1: needs a Weigher": {MaxWeight: 1},
		} {
			far := neartest.NewStore(t.Context(), server, lease)
			_, err := near.New(far, options)
			assert.ErrorContains(t, err, want)
			assert.NoError(t, far.Close())
		}
		_, err := near.New(nil, near.Options{})
		assert.EqualError(t, err, "near: New: store: must not be nil")
		held, err := memory.New(memory.Options{})
		require.NoError(t, err)
		_, err = near.New(held, near.Options{})
		assert.ErrorContains(t, err, "a *memory.Store is no provider.Announcer")
		assert.NoError(t, held.Close())
		far := neartest.NewStore(t.Context(), server, lease)
		first, err := near.New(far, near.Options{})
		require.NoError(t, err)
		_, err = near.New(far, near.Options{})
		assert.ErrorContains(t, err, "one near cache at a time")
		assert.NoError(t, first.Close())
	})
}

// TestWeigher bounds the memory, sees decoded values, and may panic.
func TestWeigher(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := fleet(t, neartest.NewServer(), 1, near.Options{MaxWeight: 10, Weigher: func(_ provider.Key, e provider.Entry) int64 {
			n := e.Value.(*box).N
			if n == 3 {
				panic(errors.New("a weigher"))
			}
			return n
		}})[0]
		for version, near := range map[int64]bool{1: true, 3: false, 9: true, 11: false} {
			p.source.Store(version)
			k := fmt.Sprint(version)
			p.read(k)
			_, from := p.read(k)
			assert.Equal(t, near, from == readthrough.FromNear, "%d", version)
		}
		assert.LessOrEqual(t, p.near.NearStats().Weight, int64(10))
	})
}

// TestOwnMessage: the message about an invalidation of this process comes back to it, and drops nothing that
// was loaded since.
func TestOwnMessage(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		p := fleet(t, server, 1, options)[0]
		server.OnMessage(p.to(func(m membership.Message) []membership.Message {
			if m.Beat == 0 {
				time.Sleep(10 * time.Millisecond)
			}
			return []membership.Message{m}
		}))
		p.write("k")
		p.read("k")
		time.Sleep(20 * time.Millisecond)
		p.wantRead("k", 2, readthrough.FromNear)
	})
}

// TestReplacedElsewhere: the answer to a lease says that the far store has another entry than the memory.
func TestReplacedElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		p := fleet(t, server, 1, near.Options{})[0]
		warm([]*process{p}, "k")
		old, found := p.near.GetNear(key("k"))
		require.True(t, found)
		time.Sleep(1)
		other := neartest.NewStore(t.Context(), server, lease)
		require.NoError(t, other.Set(t.Context(), key("k"), provider.Entry{Value: &box{7}, LoadedAt: time.Now()}, time.Minute))
		_, found = p.near.GetNear(key("k"))
		require.True(t, found)
		grants, err := p.near.Refresh(t.Context(), []provider.RefreshRequest{{Key: key("k"), LoadedAt: old.LoadedAt}}, time.Second)
		require.NoError(t, err)
		assert.Equal(t, provider.LeaseFound, grants[0].State)
		p.wantRead("k", 7, readthrough.FromStore)
		require.NoError(t, other.Close())
	})
}
