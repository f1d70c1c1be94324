package backend

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

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
					b.record(storeAnswered)
				case "failed":
					b.record(storeFailed)
				case "unknown":
					b.record(storeUnknown)
				case "allow":
					got, want = b.allow(true), twin.allow(true)
				case "allow, no probe":
					got, want = b.allow(false), twin.allow(false)
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
			b.record(storeFailed)
		}
		if !b.allow(true) {
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
