package memory

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func mustSet(tb testing.TB, s *Store, k provider.Key, v any, ttl time.Duration) {
	tb.Helper()
	if err := s.Set(tb.Context(), k, entry(v), ttl); err != nil {
		tb.Fatalf("Set %v: %v", k, err)
	}
}

func wantGet(tb testing.TB, s *Store, k provider.Key, want any) {
	tb.Helper()
	e, found, err := s.Get(tb.Context(), k)
	if err != nil || !found || e.Value != want {
		tb.Errorf("Get %v = %v, %v, %v; want %v", k, e.Value, found, err, want)
	}
}

func wantMiss(tb testing.TB, s *Store, k provider.Key) {
	tb.Helper()
	if e, found, err := s.Get(tb.Context(), k); err != nil || found {
		tb.Errorf("Get %v = %v, %v, %v; want a miss", k, e.Value, found, err)
	}
	if value, is := s.GetValue(k); is != provider.Missing {
		tb.Errorf("GetValue %v = %v, %d; want a miss", k, value, is)
	}
	values := []provider.Value{{Value: "old", Is: provider.Present}}
	if s.GetValues([]provider.Key{k}, values); values[0] != (provider.Value{Is: provider.Missing}) {
		tb.Errorf("GetValues %v = %v; want a miss", k, values)
	}
	if found, err := s.Has(tb.Context(), k); err != nil || found {
		tb.Errorf("Has %v = %v, %v; want false", k, found, err)
	}
	if r, err := s.GetMany(tb.Context(), []provider.Key{k}); err != nil || r[0].Found {
		tb.Errorf("GetMany %v = %v, %v; want a miss", k, r, err)
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
				if found, err := s.Has(t.Context(), k); err != nil || !found {
					t.Errorf("Has = %v, %v one nanosecond before the end", found, err)
				}
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
		if err != nil || page.Total != len(ttls) || !page.Entries[0].ExpiresAt.IsZero() {
			t.Errorf("List = %+v, %v; want %d entries, the first without end", page, err, len(ttls))
		}
	})
}

func TestRefusedTTLChangesNothing(t *testing.T) {
	s := newStore(t, Options{})
	k := key("s", "k")
	mustSet(t, s, k, 1, time.Hour)
	for _, ttl := range []time.Duration{0, -1, math.MinInt64} {
		if err := s.Set(t.Context(), k, entry(2), ttl); err == nil {
			t.Errorf("Set with ttl %d: no error", ttl)
		}
		if err := s.SetMany(t.Context(), []provider.Item{{Key: k, Entry: entry(2), TTL: ttl}}); err == nil {
			t.Errorf("SetMany with ttl %d: no error", ttl)
		}
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
		if s.count != 2 {
			t.Fatalf("the expired entry was removed: the test tests nothing")
		}
		if page, err := s.List(t.Context(), provider.ListOptions{}); err != nil || page.Total != 1 {
			t.Errorf("List = %+v, %v; want one entry", page, err)
		}
		if n, err := s.DeletePrefix(t.Context(), "s", "p:"); n != 1 || err != nil {
			t.Errorf("DeletePrefix = %d, %v; want 1", n, err)
		}
		if s.expirations != 1 || s.count != 0 {
			t.Errorf("%d expirations, %d entries; want 1 and 0", s.expirations, s.count)
		}
	})
}

func TestExpiredEntryDoesNotShadowANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := noSweep(t)
		k := key("s", "k")
		mustSet(t, s, k, 1, time.Second)
		time.Sleep(time.Second)
		if s.count != 1 {
			t.Fatalf("the expired entry was removed: the test tests nothing")
		}
		mustSet(t, s, k, 2, time.Hour)
		s.sweepAll(t)
		wantGet(t, s, k, 2)
		if n, err := s.DeletePrefix(t.Context(), "s", ""); n != 1 || err != nil {
			t.Errorf("DeletePrefix = %d, %v; want 1", n, err)
		}
		if s.expirations != 1 {
			t.Errorf("%d expirations, want 1", s.expirations)
		}
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
		if count, _ := s.look(); count != n-n/2 {
			t.Errorf("%d entries are left half-way, want %d", count, n-n/2)
		}
		time.Sleep(n * time.Second)
		s.mu.Lock()
		if s.count != 0 || len(s.nodes()) != 0 || len(s.scopes) != 0 || s.wheel.count != 0 {
			t.Errorf("an idle store keeps %d entries, %d scopes", s.count, len(s.scopes))
		}
		if s.wake != never || s.timer.Stop() {
			t.Error("the timer is set though nothing is there to expire")
		}
		s.mu.Unlock()
		stats, err := s.Stats(t.Context())
		if err != nil || stats.Expirations != n || stats.Evictions != 0 {
			t.Errorf("Stats = %+v, %v; want %d expirations", stats, err, n)
		}
	})
}

func TestNothingRunsWithoutAnythingToExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		for i := range 1000 {
			mustSet(t, s, key("s", fmt.Sprint(i)), i, provider.NoExpiry)
		}
		if s.wake != never || s.timer.Stop() {
			t.Error("the timer is set")
		}
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
		if count != 0 || wakes > levels {
			t.Errorf("%d entries are left after %d wakes; want 0 after at most %d", count, wakes, levels)
		}
		if over := s.now() - int64(30*24*time.Hour); over < 0 || over > 2<<tickBits {
			t.Errorf("removed %v after the end", time.Duration(over))
		}
	})
}
