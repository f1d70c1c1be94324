package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

const (
	twinLimit    = 2
	twinCooldown = 10 * time.Second
)

// breakerTwin is a breaker said plainly: it decides by looking through all that
// has happened.
type breakerTwin struct {
	now    time.Duration
	events []breakerEvent
}

type breakerEvent struct {
	kind string // "answered", "failed", "unknown", "probe"
	at   time.Duration
}

// failures returns the number of failures in a row, and when the last was.
func (w *breakerTwin) failures() (n int, last time.Duration) {
	for _, e := range w.events {
		switch e.kind {
		case "answered":
			n = 0
		case "failed":
			n++
			last = e.at
		}
	}
	return n, last
}

func (w *breakerTwin) allow(mayProbe bool) bool {
	n, last := w.failures()
	if n < twinLimit {
		return true
	}
	if !mayProbe || w.now < last+twinCooldown {
		return false
	}
	if k := len(w.events) - 1; w.events[k].kind == "probe" {
		return false // whose outcome is not known yet
	}
	w.events = append(w.events, breakerEvent{"probe", w.now})
	return true
}

// TestBreakerAgainstTwin compares all sequences of steps up to a length.
func TestBreakerAgainstTwin(t *testing.T) {
	steps := []string{"answered", "failed", "unknown", "allow", "allow, no probe", "5s"}
	const length = 7
	synctest.Test(t, func(t *testing.T) {
		n := 1
		for range length {
			n *= len(steps)
		}
		for code := range n {
			b, twin := breaker{limit: twinLimit, cooldown: twinCooldown}, breakerTwin{}
			var history []string
			for range length {
				step := steps[code%len(steps)]
				code /= len(steps)
				history = append(history, step)
				got, want := true, true
				switch step {
				case "answered":
					b.record(reads, storeAnswered)
				case "failed":
					b.record(reads, storeFailed)
				case "unknown":
					b.record(reads, storeUnknown)
				case "allow":
					got, want = b.allow(reads, true), twin.allow(true)
				case "allow, no probe":
					got, want = b.allow(reads, false), twin.allow(false)
				case "5s":
					time.Sleep(5 * time.Second)
					twin.now += 5 * time.Second
				}
				switch step {
				case "answered", "failed", "unknown":
					twin.events = append(twin.events, breakerEvent{step, twin.now})
				}
				if got != want {
					t.Fatalf("after %q: allow() = %v, the twin says %v", history, got, want)
				}
			}
		}
	})
}

func TestBreakerThatNeverOpens(t *testing.T) {
	for _, limit := range []int{0, -1} {
		b := breaker{limit: limit, cooldown: time.Second}
		for range 100 {
			b.record(reads, storeFailed)
		}
		if !b.allow(reads, true) {
			t.Errorf("a breaker with limit %d is open", limit)
		}
	}
}

func TestVerdicts(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("wrapped: %w", err) }
	tests := []struct {
		err  error
		want verdict
	}{
		{nil, storeAnswered},
		{wrap(provider.ErrUndecodable), storeAnswered},
		{wrap(provider.ErrTooLarge), storeAnswered},
		{wrap(provider.ErrUnencodable), storeAnswered},
		{wrap(provider.ErrLossy), storeAnswered},
		{wrap(context.Canceled), storeUnknown},
		{wrap(context.DeadlineExceeded), storeFailed},
		{wrap(provider.ErrClosed), storeFailed},
		{wrap(provider.ErrRefused), storeRefused},
		{wrap(provider.ErrReadOnly), storeIsReplica},
		{errors.New("anything else"), storeFailed},
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range tests {
		if got := verdictOn(test.err); got != test.want {
			t.Errorf("verdictOn(%v) = %v, want %v", test.err, got, test.want)
		}
		if got := verdictWithin(t.Context(), test.err); got != test.want {
			t.Errorf("verdictWithin(%v) = %v, want %v", test.err, got, test.want)
		}
		want := test.want
		if want == storeFailed {
			want = storeUnknown
		}
		if got := verdictWithin(ended, test.err); got != want {
			t.Errorf("verdictWithin(%v), and the caller has left: %v, want %v", test.err, got, want)
		}
	}
}

// A server that says that it is a replica is not read until a write has succeeded, whatever its reads
// answer, and however few failures there were.
func TestBreakerOfAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker{limit: -1, cooldown: twinCooldown}
		b.record(writes, storeIsReplica)
		assert.False(t, b.allow(reads, true), "a read, at once")
		assert.False(t, b.allow(writes, true), "a write, at once")
		b.record(reads, storeAnswered) // one that was under way
		time.Sleep(twinCooldown)
		assert.False(t, b.allow(reads, true), "a read, after the cooldown")
		assert.True(t, b.allow(writes, true), "the probe is a write")
		assert.False(t, b.allow(writes, true), "there is one probe at a time")
		b.record(writes, storeIsReplica)
		assert.False(t, b.allow(writes, true), "the probe has failed: another cooldown")
		time.Sleep(twinCooldown)
		assert.True(t, b.allow(removes, true), "a removal is a write, too")
		b.record(removes, storeAnswered)
		assert.True(t, b.allow(reads, false), "the server is a master again")
	})
}

func newBackend() *Backend {
	return &Backend{
		breaker:  breaker{limit: twinLimit, cooldown: twinCooldown},
		refusals: breaker{limit: twinLimit, cooldown: twinCooldown},
	}
}

// Refused writes stop fills and leases for a while, and neither reads nor removals.
func TestRefusalsStopFillsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		judge := func(does kind, err error) {
			_ = b.judge(t.Context(), t.Context(), request{does: anywhere(does), conclusive: true}, err)
		}
		refused := fmt.Errorf("OOM: %w", provider.ErrRefused)
		for range twinLimit {
			assert.NoError(t, b.admit(anywhere(writes)), "below the limit")
			judge(writes, refused)
		}
		assert.ErrorIs(t, b.admit(anywhere(writes)), ErrOpen, "a fill")
		assert.NoError(t, b.admit(anywhere(reads)), "a read")
		assert.False(t, b.Open(), "removals are not pending")
		judge(reads, nil) // that it is read tells nothing about its writes
		judge(removes, nil)
		assert.ErrorIs(t, b.admit(anywhere(writes)), ErrOpen, "a fill")
		time.Sleep(twinCooldown)
		assert.NoError(t, b.admit(anywhere(writes)), "the probe")
		assert.ErrorIs(t, b.admit(anywhere(writes)), ErrOpen, "there is one probe at a time")
		judge(writes, context.Canceled) // it told nothing: another may find out
		assert.NoError(t, b.admit(anywhere(writes)), "the next probe")
		judge(writes, nil)
		assert.NoError(t, b.admit(anywhere(writes)), "it was accepted")
	})
}

// A store that cannot be read is not asked, whatever the reason.
func TestRefusedReadsAreFailures(t *testing.T) {
	b := newBackend()
	for range twinLimit {
		_ = b.judge(t.Context(), t.Context(), request{does: anywhere(reads), conclusive: true}, provider.ErrRefused)
	}
	assert.True(t, b.Open(), "open")
}

// badError is an error that panics when it is asked, as a nil *net.OpError does.
type badError struct{}

func (*badError) Error() string { return "bad" }

func (*badError) Is(error) bool { panic("Is") }

// An error that panics when it is asked what it is is a failure, and a probe that ends with it is over.
func TestErrorThatPanicsIsAFailure(t *testing.T) {
	var dead *net.OpError
	for _, err := range []error{&badError{}, dead} {
		assert.ErrorContains(t, Sane(fmt.Errorf("wrapped: %w", err)), "panics", "%T", err)
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		for range twinLimit {
			_ = b.judge(t.Context(), t.Context(), request{does: anywhere(reads), conclusive: true}, &badError{})
		}
		assert.ErrorIs(t, b.admit(anywhere(reads)), ErrOpen)
		time.Sleep(twinCooldown)
		require.NoError(t, b.admit(anywhere(reads)), "the probe")
		_ = b.judge(t.Context(), t.Context(), request{does: anywhere(reads), conclusive: true}, &badError{})
		time.Sleep(twinCooldown)
		require.NoError(t, b.admit(anywhere(reads)), "the next probe")
		_ = b.judge(t.Context(), t.Context(), request{does: anywhere(reads), conclusive: true}, nil)
		assert.NoError(t, b.admit(anywhere(reads)), "the store is well again")
	})
}
