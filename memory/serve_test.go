package memory

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// TestServeUntil: from the deadline on, nothing is found by any way of reading, whether it has an end or
// not; a later deadline brings it back.
func TestServeUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		keys := []provider.Key{key("s", "ends"), key("s", "never")}
		mustSet(t, s, keys[0], 1, time.Hour)
		mustSet(t, s, keys[1], 1, provider.NoExpiry)
		want := func(there bool) {
			t.Helper()
			values := make([]provider.Value, len(keys))
			s.GetValues(keys, values)
			many, err := s.GetMany(t.Context(), keys)
			require.NoError(t, err)
			for i, k := range keys {
				_, found, err := s.Get(t.Context(), k)
				require.NoError(t, err)
				_, is := s.GetValue(k)
				has, err := s.Has(t.Context(), k)
				require.NoError(t, err)
				assert.Equal(t, []bool{there, there, there, there, there},
					[]bool{found, is == provider.Present, has, values[i].Is == provider.Present, many[i].Found}, "%v", k)
			}
		}
		want(true)
		s.ServeUntil(time.Now().Add(time.Second))
		want(true)
		time.Sleep(time.Second - 1)
		want(true)
		time.Sleep(1)
		want(false)
		s.ServeUntil(time.Now().Add(time.Minute))
		want(true)
		s.ServeUntil(time.Time{})
		want(false)
	})
}

// TestClear removes all, with an index and without, and the store works as before.
func TestClear(t *testing.T) {
	for _, indexed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t, Options{MaxEntries: 100})
			for round := range 3 {
				for i := range 200 {
					mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Duration(i+1)*time.Minute)
				}
				if indexed {
					_, err := s.DeletePrefix(t.Context(), "s", "1")
					require.NoError(t, err)
				}
				s.Clear()
				wantMiss(t, s, key("s", "199"))
				stats, err := s.Stats(t.Context())
				require.NoError(t, err)
				assert.Zero(t, stats.Entries, "round %d", round)
				mustSet(t, s, key("s", "after"), 1, time.Minute)
				n, err := s.DeletePrefix(t.Context(), "s", "a")
				require.NoError(t, err)
				assert.Equal(t, 1, n)
				mustSet(t, s, key("s", "ends"), 1, time.Minute)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				stats, err = s.Stats(t.Context())
				require.NoError(t, err)
				assert.Zero(t, stats.Entries, "what has ended is swept")
			}
			require.NoError(t, s.Close())
			s.Clear()
			_, _, err := s.Get(t.Context(), key("s", "k"))
			assert.ErrorIs(t, err, provider.ErrClosed)
		})
	}
}
