package memory

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

func mustSet(tb testing.TB, s *Store, k provider.Key, v any, ttl time.Duration) {
	tb.Helper()
	require.NoError(tb, s.Set(tb.Context(), k, entry(v), ttl), "Set %v", k)
}

func wantGet(tb testing.TB, s *Store, k provider.Key, want any) {
	tb.Helper()
	e, found, err := s.Get(tb.Context(), k)
	assert.NoError(tb, err, "Get %v", k)
	assert.True(tb, found, "Get %v", k)
	assert.Equal(tb, want, e.Value, "Get %v", k)
}

func wantMiss(tb testing.TB, s *Store, k provider.Key) {
	tb.Helper()
	e, found, err := s.Get(tb.Context(), k)
	assert.NoError(tb, err, "Get %v = %v; want a miss", k, e.Value)
	assert.False(tb, found, "Get %v = %v; want a miss", k, e.Value)
	value, is := s.GetValue(k)
	assert.Equal(tb, provider.Missing, is, "GetValue %v = %v; want a miss", k, value)
	values := []provider.Value{{Value: "old", Is: provider.Present}}
	s.GetValues([]provider.Key{k}, values)
	assert.Equal(tb, provider.Value{Is: provider.Missing}, values[0], "GetValues %v: a miss", k)
	found, err = s.Has(tb.Context(), k)
	assert.NoError(tb, err, "Has %v", k)
	assert.False(tb, found, "Has %v", k)
	r, err := s.GetMany(tb.Context(), []provider.Key{k})
	if assert.NoError(tb, err, "GetMany %v = %v; want a miss", k, r) {
		assert.False(tb, r[0].Found, "GetMany %v = %v; want a miss", k, r)
	}
}

func TestTTLIsExact(t *testing.T) {
	for _, ttl := range []time.Duration{
		1, 2, 999, 500 * time.Millisecond, time.Second, 15 * time.Second, time.Hour, 24 * 366 * time.Hour,
		1 << tickBits, 1<<tickBits - 1, 1<<tickBits + 1, 1 << (tickBits + digitBits), 200 * 365 * 24 * time.Hour,
	} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore(t, Options{})
				k := key("s", "k")
				mustSet(t, s, k, 1, ttl)
				time.Sleep(ttl - 1)
				wantGet(t, s, k, 1)
				found, err := s.Has(t.Context(), k)
				assert.NoError(t, err, "Has one nanosecond before the end")
				assert.True(t, found, "Has one nanosecond before the end")
				time.Sleep(time.Nanosecond)
				wantMiss(t, s, k)
			})
		})
	}
}

func TestTTLThatNoClockReaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		time.Sleep(time.Hour) // so that now+ttl overflows
		ttls := []time.Duration{provider.NoExpiry, provider.NoExpiry - 1, math.MaxInt64 - time.Minute, 250 * 365 * 24 * time.Hour}
		for i, ttl := range ttls {
			mustSet(t, s, key("s", fmt.Sprint(i)), i, ttl)
		}
		time.Sleep(30 * 365 * 24 * time.Hour)
		for i := range ttls {
			wantGet(t, s, key("s", fmt.Sprint(i)), i)
		}
		page, err := s.List(t.Context(), provider.ListOptions{})
		if assert.NoError(t, err, "List: the first is without end") {
			assert.Equal(t, len(ttls), page.Total, "List")
			require.Len(t, page.Entries, len(ttls), "List")
			assert.True(t, page.Entries[0].ExpiresAt.IsZero(), "List: the first is without end")
		}
	})
}

func TestRefusedTTLChangesNothing(t *testing.T) {
	s := newStore(t, Options{})
	k := key("s", "k")
	mustSet(t, s, k, 1, time.Hour)
	for _, ttl := range []time.Duration{0, -1, math.MinInt64} {
		assert.Error(t, s.Set(t.Context(), k, entry(2), ttl), "Set with ttl %d", ttl)
		assert.Error(t, s.SetMany(t.Context(), []provider.Item{{Key: k, Entry: entry(2), TTL: ttl}}), "SetMany with ttl %d", ttl)
		wantGet(t, s, k, 1)
	}
}

func TestReplacingRestartsTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		k := key("s", "k")
		mustSet(t, s, k, 1, time.Second)
		time.Sleep(time.Second - 1)
		mustSet(t, s, k, 2, time.Minute)
		time.Sleep(time.Minute - 1)
		wantGet(t, s, k, 2)
		mustSet(t, s, k, 3, time.Second) // a shorter one
		time.Sleep(time.Second)
		wantMiss(t, s, k)
		mustSet(t, s, k, 4, time.Second)
		mustSet(t, s, k, 5, provider.NoExpiry)
		time.Sleep(time.Hour)
		wantGet(t, s, k, 5)
	})
}

// noSweep makes a store that removes expired entries only when a write comes
// across them, for what must hold until they are removed.
func noSweep(t *testing.T) *Store {
	t.Helper()
	s := newStore(t, Options{})
	s.wake = 0 // as if a sweep was about to run
	return s
}

func TestExpiredEntryDoesNotCountAsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := noSweep(t)
		mustSet(t, s, key("s", "p:old"), 1, time.Second)
		mustSet(t, s, key("s", "p:live"), 2, time.Hour)
		time.Sleep(time.Second)
		require.Equal(t, int64(2), s.count, "the expired entry was removed: the test tests nothing")
		page, err := s.List(t.Context(), provider.ListOptions{})
		assert.NoError(t, err, "List")
		assert.Equal(t, 1, page.Total, "List")
		n, err := s.DeletePrefix(t.Context(), "s", "p:")
		assert.NoError(t, err, "DeletePrefix")
		assert.Equal(t, 1, n, "DeletePrefix")
		assert.Equal(t, int64(1), s.expirations, "expirations")
		assert.Zero(t, s.count, "entries")
	})
}

func TestExpiredEntryDoesNotShadowANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := noSweep(t)
		k := key("s", "k")
		mustSet(t, s, k, 1, time.Second)
		time.Sleep(time.Second)
		require.Equal(t, int64(1), s.count, "the expired entry was removed: the test tests nothing")
		mustSet(t, s, k, 2, time.Hour)
		s.sweepAll(t)
		wantGet(t, s, k, 2)
		n, err := s.DeletePrefix(t.Context(), "s", "")
		assert.NoError(t, err, "DeletePrefix")
		assert.Equal(t, 1, n, "DeletePrefix")
		assert.Equal(t, int64(1), s.expirations, "expirations")
	})
}

// look returns how many entries there are, expired ones too, and when the timer
// runs.
func (s *Store) look() (count, wake int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count, s.wake
}

// sweepAll sweeps as the timer would.
func (s *Store) sweepAll(t *testing.T) {
	t.Helper()
	for s.sweepChunk() {
	}
}

func TestIdleStoreFreesWhatExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		const n = 3*chunk + 7
		for i := range n {
			mustSet(t, s, key("s", fmt.Sprint(i)), i, time.Duration(i+1)*time.Second)
		}
		time.Sleep(n/2*time.Second + 2<<tickBits)
		count, _ := s.look()
		assert.Equal(t, int64(n-n/2), count, "entries left half-way")
		time.Sleep(n * time.Second)
		s.mu.Lock()
		assert.Zero(t, s.count, "entries of an idle store")
		assert.Empty(t, s.nodes(), "nodes of an idle store")
		assert.Empty(t, s.scopes, "scopes of an idle store")
		assert.Zero(t, s.wheel.count, "timers of an idle store")
		assert.Equal(t, never, s.wake, "the timer is set though nothing is there to expire")
		assert.False(t, s.timer.Stop(), "the timer is set though nothing is there to expire")
		s.mu.Unlock()
		stats, err := s.Stats(t.Context())
		assert.NoError(t, err, "Stats")
		assert.Equal(t, int64(n), stats.Expirations, "Stats")
		assert.Zero(t, stats.Evictions, "Stats")
	})
}

func TestNothingRunsWithoutAnythingToExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		for i := range 1000 {
			mustSet(t, s, key("s", fmt.Sprint(i)), i, provider.NoExpiry)
		}
		assert.Equal(t, never, s.wake, "the timer is set")
		assert.False(t, s.timer.Stop(), "the timer is set")
	})
}

// TestSweepsAreFew counts how often a store wakes up for one entry: the wheel
// must not tick while there is nothing to do.
func TestSweepsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		mustSet(t, s, key("s", "k"), 1, 30*24*time.Hour)
		wakes := 0
		count, wake := s.look()
		for wake != never {
			wakes++
			time.Sleep(time.Duration(wake - s.now()))
			synctest.Wait()
			count, wake = s.look()
		}
		assert.Zero(t, count, "entries that are left")
		assert.LessOrEqual(t, wakes, levels, "wakes")
		over := s.now() - int64(30*24*time.Hour)
		assert.GreaterOrEqual(t, over, int64(0), "removed %v after the end", time.Duration(over))
		assert.LessOrEqual(t, over, int64(2<<tickBits), "removed %v after the end", time.Duration(over))
	})
}
