package backend

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// A bubble's timers are never late, so these tests say how late the process is.

// runsLate says that the process was late by d.
func (l *lateness) runsLate(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addLocked(d)
}

// aDelay is a delay that takes a request past its deadline, and less than it may have more for it.
const aDelay = slowTimeout / 2

// lateStore answers a get after some time. While it does, the process may turn out to be late.
type lateStore struct {
	slowStore

	takes  time.Duration
	during func()
}

func (s *lateStore) Get(ctx context.Context, _ provider.Key) (provider.Entry, bool, error) {
	if s.during != nil {
		s.during()
	}
	timer := time.NewTimer(s.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return provider.Entry{Value: 1}, true, nil
	case <-ctx.Done():
		return provider.Entry{}, false, ctx.Err()
	}
}

// late runs test in a bubble for a punctual store, and for another one.
func late(t *testing.T, test func(t *testing.T, b *Backend, s *lateStore, get func() (time.Duration, error))) {
	t.Helper()
	for _, punctual := range []bool{true, false} {
		t.Run(map[bool]string{true: "punctual", false: "not punctual"}[punctual], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &lateStore{slowStore: slowStore{CacheProvider: provider.Null(), punctual: punctual}}
				b := New(s, Config{ReadTimeout: slowTimeout, DeleteTimeout: slowTimeout, BreakerFailures: 5, BreakerCooldown: time.Hour})
				test(t, b, s, func() (time.Duration, error) {
					began := time.Now()
					_, _, err := b.Get(t.Context(), provider.Key{})
					took := time.Since(began)
					synctest.Wait() // for the orphan
					return took, err
				})
				time.Sleep(time.Minute) // what is left ends
			})
		})
	}
}

// A process that runs late waits longer for its store: what looks like a slow store is its own delay.
func TestLateProcessWaitsLonger(t *testing.T) {
	late(t, func(t *testing.T, b *Backend, s *lateStore, get func() (time.Duration, error)) {
		s.takes = slowTimeout + aDelay
		_, err := get()
		require.ErrorIs(t, err, context.DeadlineExceeded, "the process is not late")
		b.late.runsLate(aDelay)
		_, err = get()
		require.NoError(t, err, "the process is late")
		time.Sleep(2 * latenessWindow)
		_, err = get()
		assert.ErrorIs(t, err, context.DeadlineExceeded, "it is not late any more")
	})
}

// However late the process is, a reader does not wait for more than some timeouts.
func TestLateProcessDoesNotWaitLong(t *testing.T) {
	late(t, func(t *testing.T, b *Backend, s *lateStore, get func() (time.Duration, error)) {
		s.takes = time.Hour
		took, err := get()
		require.Error(t, err)
		assert.Equal(t, slowTimeout, took, "the process is not late")
		b.late.runsLate(time.Hour)
		took, err = get()
		require.Error(t, err)
		assert.Equal(t, (1+mostAllowance)*slowTimeout, took, "the process is very late")
	})
}

// The timeouts of a process that turns out to be late do not open the breaker, as long as anything is
// answered: it would lose its cache when it needs it most.
func TestLateProcessKeepsItsStore(t *testing.T) {
	late(t, func(t *testing.T, b *Backend, s *lateStore, get func() (time.Duration, error)) {
		forget := func() { time.Sleep(2 * latenessWindow) }
		for n := range 100 {
			s.takes, s.during = slowTimeout+aDelay, func() { b.late.runsLate(aDelay) }
			_, err := get()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "this process runs up to 25ms late")
			require.False(t, b.Open(), "the process was late")
			if n%10 == 0 {
				s.takes = 0
				_, err := get()
				require.NoError(t, err)
			}
			forget()
		}
	})
}

// If nothing is answered for long, the store is left alone, late process or not.
func TestLateProcessAndADeadStore(t *testing.T) {
	late(t, func(t *testing.T, b *Backend, s *lateStore, get func() (time.Duration, error)) {
		s.takes, s.during = time.Hour, func() { b.late.runsLate(time.Hour) }
		n := 0
		for ; !b.Open(); n++ {
			require.Less(t, n, 1000, "the breaker never opens")
			_, err := get()
			require.Error(t, err)
		}
		assert.Equal(t, 5*lateShare, n)
	})
	late(t, func(t *testing.T, b *Backend, s *lateStore, get func() (time.Duration, error)) {
		s.takes = time.Hour
		for range 5 { // they have all the time that they may need, since the lateness is known before
			b.late.runsLate(aDelay)
			require.False(t, b.Open())
			_, err := get()
			require.Error(t, err)
		}
		assert.True(t, b.Open())
	})
}

// A process that was stopped finds its deadlines over and its samples due when it goes on.
func TestSampleThatIsDueCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lateness
		l.init(slowTimeout)
		require.Zero(t, l.begin())
		defer time.Sleep(time.Second)
		defer l.end()
		_, excused := l.excuses(0)
		assert.False(t, excused, "nothing is late")
		l.mu.Lock()
		l.due = l.due.Add(-slowTimeout) // as if the process had been stopped
		l.mu.Unlock()
		_, excused = l.excuses(0)
		assert.True(t, excused, "the sample is late")
	})
}

// Samples are taken while requests are under way, and then no more.
func TestSamplesEndWithTheRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lateness
		l.init(slowTimeout)
		for range 3 {
			l.begin()
			l.begin()
			time.Sleep(10 * slowTimeout)
			assert.True(t, l.sampling.Load(), "two are under way")
			l.end()
			time.Sleep(10 * slowTimeout)
			assert.True(t, l.sampling.Load(), "one is under way")
			l.end()
			time.Sleep(10 * slowTimeout)
			assert.False(t, l.sampling.Load(), "none is under way")
		}
	})
}

// TestBusyProcessIsLate measures a process whose processors are all busy.
func TestBusyProcessIsLate(t *testing.T) {
	var stop atomic.Bool
	defer stop.Store(true)
	for range 16 * runtime.GOMAXPROCS(0) {
		go func() {
			for !stop.Load() {
			}
		}()
	}
	var l lateness
	l.init(slowTimeout)
	l.begin()
	defer l.end()
	for n := 0; l.allowance() < l.interval*lateTurns; n++ {
		require.Less(t, n, 200, "intervals, and it is not late")
		time.Sleep(l.interval)
	}
}
