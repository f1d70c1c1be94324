package redistest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A Tap records requests that pass a [Proxy], so that a test can deliver copies
// of them late. Its methods are safe for concurrent use.
type Tap struct {
	target   string
	match    func(Command) bool
	withhold bool

	mu       sync.Mutex // guards following
	stopped  bool
	captured []Command
	changed  chan struct{} // closed and replaced with each capture
}

// Record records the requests for which match returns true, and sends them to the
// server as usual. Several goroutines may call match at the same time.
func (p *Proxy) Record(match func(Command) bool) *Tap { return p.tap(match, false) }

// Withhold records the requests for which match returns true, and does not send
// them to the server, like a network that loses them or delivers them late. Their
// clients get no answer. Several goroutines may call match at the same time.
func (p *Proxy) Withhold(match func(Command) bool) *Tap { return p.tap(match, true) }

func (p *Proxy) tap(match func(Command) bool, withhold bool) *Tap {
	t := &Tap{target: p.target, match: match, withhold: withhold, changed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taps = append(slices.Clone(p.taps), t)
	return t
}

// Stop ends recording and withholding. The tap keeps what it has recorded.
func (t *Tap) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
}

// saw records a command that matches, and reports whether to send it to the
// server.
func (t *Tap) saw(command Command) bool {
	if !t.match(command) {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return true
	}
	t.captured = append(t.captured, command)
	close(t.changed)
	t.changed = make(chan struct{})
	return !t.withhold
}

// Captured returns the requests recorded so far, in order.
func (t *Tap) Captured() []Command {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.captured)
}

// Wait waits until n requests are recorded, and returns them.
func (t *Tap) Wait(tb testing.TB, n int) []Command {
	tb.Helper()
	timeout := time.NewTimer(startPatience)
	defer timeout.Stop()
	for {
		t.mu.Lock()
		captured, changed := slices.Clone(t.captured), t.changed
		t.mu.Unlock()
		if len(captured) >= n {
			return captured
		}
		select {
		case <-changed:
		case <-timeout.C:
			tb.Fatalf("redistest: %d requests recorded after %v, waiting for %d", len(captured), startPatience, n)
		}
	}
}

// Replay sends a copy of every recorded request to the server and returns the
// answers. Each copy has its own connection, which does not pass the proxy. An
// error that the server answers fails the test.
func (t *Tap) Replay(tb testing.TB) []any {
	tb.Helper()
	var answers []any
	for _, command := range t.Captured() {
		answer, err := do(context.WithoutCancel(tb.Context()), t.target, doTimeout, command.Raw)
		if err != nil {
			tb.Fatalf("redistest: replaying %s: %v", command, err)
		}
		answers = append(answers, answer)
	}
	return answers
}

// String returns the command for messages, shortened.
func (c Command) String() string { return fmt.Sprintf("%.200q", c.Args) }
