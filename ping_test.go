package readthrough_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// TestPing: it says how the store is now, in time, whatever the breaker says, and leaves the breaker as it is.
func TestPing(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerCooldown: time.Hour}, 0)
		require.NoError(t, r.cache.Ping(t.Context()))
		for _, f := range []fault{faultError, faultHang, faultStuck, faultPanic, faultGoexit} {
			r.store.fail(f, "get")
			began := time.Now()
			err := r.cache.Ping(t.Context())
			require.Error(t, err, "fault %v", f)
			assert.LessOrEqual(t, time.Since(began), invalidateTimeout, "fault %v", f)
			assert.NotContains(t, err.Error(), "ping:ping")
			short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			began = time.Now()
			require.Error(t, r.cache.Ping(short), "fault %v", f)
			assert.LessOrEqual(t, time.Since(began), 10*time.Millisecond, "fault %v", f)
			cancel()
		}
		assert.Equal(t, "closed", r.cache.StoreState().Breaker, "a Ping that fails is nothing for the breaker")
		r.store.fail(faultError, "get")
		assert.EqualError(t, r.cache.Ping(t.Context()), "readthrough: Ping: the store is down")
		assert.ErrorIs(t, r.cache.Ping(t.Context()), errFault)
		r.store.fail(faultError, "set")
		for range breakerFailures {
			r.read("k")
		}
		require.Equal(t, "open", r.cache.StoreState().Breaker)
		r.store.fail(faultHang, "get")
		err := r.cache.Ping(t.Context())
		assert.EqualError(t, err, "readthrough: Ping: context deadline exceeded; the last request failed because of: the store is down")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		r.store.fail(faultNone, "get")
		require.NoError(t, r.cache.Ping(t.Context()), "it asks although the breaker is open")
		assert.Equal(t, "open", r.cache.StoreState().Breaker, "and a Ping that succeeds is nothing for the breaker either")

		require.NoError(t, r.cache.Close())
		assert.ErrorIs(t, r.cache.Ping(t.Context()), readthrough.ErrClosed)
		assert.Error(t, r.cache.Ping(nil)) //nolint:staticcheck // a nil context is an error, and no panic
		assert.Error(t, (*readthrough.Cache)(nil).Ping(t.Context()))
	})
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	assert.NoError(t, cache.Ping(t.Context()), "memory can always be reached")
	require.NoError(t, cache.Close())
}

// adviser is a store that gives advice.
type adviser struct {
	provider.CacheProvider

	asked  atomic.Int64
	fails  int64 // so many times, first
	hangs  bool
	advice []provider.Advice
}

func (a *adviser) Advise(ctx context.Context) ([]provider.Advice, error) {
	switch asked := a.asked.Add(1); {
	case a.hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case asked <= a.fails:
		return nil, errFault
	}
	return a.advice, nil
}

// TestAdviceIsLoggedOnce, when the store has answered, and a store that does not answer disturbs nobody.
func TestAdviceIsLoggedOnce(t *testing.T) {
	advice := []provider.Advice{{About: "eviction", Problem: "it is bad", Do: "make it good"}, {About: "client", Problem: "p", Do: "d"}}
	lines := []string{
		`level=WARN msg="readthrough: the store is not set up well" about=eviction problem="it is bad" do="make it good"`,
		`level=WARN msg="readthrough: the store is not set up well" about=client problem=p do=d`,
	}
	start := func(t *testing.T, a *adviser) (cache *readthrough.Cache, lines func() []string) {
		t.Helper()
		a.CacheProvider = provider.Null()
		logger, lines := logged()
		cache, err := readthrough.New(a, readthrough.Options{Logger: logger})
		require.NoError(t, err)
		return cache, lines
	}
	bubble(t, "well", func(t *testing.T) {
		a := &adviser{advice: advice}
		cache, logged := start(t, a)
		assert.Zero(t, a.asked.Load(), "New asks nothing")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.Equal(t, lines, logged())
		assert.EqualValues(t, 1, a.asked.Load())
		require.NoError(t, cache.Close())
	})
	bubble(t, "away at first", func(t *testing.T) {
		a := &adviser{advice: advice, fails: 3}
		cache, logged := start(t, a)
		time.Sleep(10 * time.Second)
		assert.Empty(t, logged(), "what does not answer is told by the breaker")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.Equal(t, lines, logged())
		assert.EqualValues(t, 4, a.asked.Load())
		require.NoError(t, cache.Close())
	})
	bubble(t, "away for ever", func(t *testing.T) {
		a := &adviser{fails: 1 << 30}
		cache, logged := start(t, a)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		assert.Empty(t, logged())
		assert.LessOrEqual(t, a.asked.Load(), int64(24*60+10), "at most once a minute")
		require.NoError(t, cache.Close())
	})
	bubble(t, "closed meanwhile", func(t *testing.T) {
		before, _ := bubbled()
		a := &adviser{hangs: true}
		cache, _ := start(t, a)
		time.Sleep(1001 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1, a.asked.Load())
		began := time.Now()
		require.NoError(t, cache.Close())
		assert.Zero(t, time.Since(began), "Close does not wait for it")
		if n, stacks := bubbled(); n > before {
			t.Error("goroutines are left:\n" + stacks)
		}
	})
}
