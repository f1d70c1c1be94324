package membership

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Channel is a process's end of the protocol: its own member, if it has one, and the waiting of its
// removals for the members of others. A store has one, from its beginning to its end.
type Channel struct {
	server Server
	lease  time.Duration
	ctx    context.Context //nolint:containedctx // of the store's life
	cancel context.CancelFunc
	own    atomic.Pointer[member]
	// exists says that there are, or were, members of any process. It is never unset: a server that
	// has lost its record is told from one that never had any by who remembers.
	exists atomic.Bool

	waits, unacknowledged, waited atomic.Int64

	mu   sync.Mutex // guards following
	look *look      // the look at the record that is under way; nil: none
	// known are the members of the latest roll, with the time at which each was first listed with its
	// stamp.
	known map[string]listed
}

// listed says since when a member is known with a stamp. Stamps of different epochs say nothing about each
// other.
type listed struct {
	epoch string
	stamp int64
	since time.Time
}

// look is one look at the record, for all removals that wait. The goroutine that makes it writes the
// other fields before it closes done.
type look struct {
	done chan struct{}
	roll Roll
	err  error
}

// NewChannel returns a channel to server. lease is how long a removal waits for a strict member at
// most; all processes must use the same. exists says that there are members, whatever the record says.
func NewChannel(ctx context.Context, server Server, lease time.Duration, exists bool) *Channel {
	c := &Channel{server: server, lease: lease}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.exists.Store(exists)
	return c
}

// Close ends the membership, if there is one, and the goroutines of the channel.
func (c *Channel) Close() error {
	var err error
	if m := c.own.Load(); m != nil {
		err = m.Close()
	}
	c.cancel()
	return err
}

// Exists reports whether this process knows that there are, or were, members. An announcement then
// makes a record that is missing: a server that was restarted has lost it, and members of the old one
// may still answer.
func (c *Channel) Exists() bool { return c.exists.Load() }

// Sender returns the name under which this process announces.
func (c *Channel) Sender() string {
	if m := c.own.Load(); m != nil {
		return m.id
	}
	return ""
}

// Tell drops removed in this process. A store calls it after each removal, whatever came of it, and
// before it returns.
func (c *Channel) Tell(removed provider.Removed) {
	if m := c.own.Load(); m != nil {
		m.tell(removed)
	}
}

// Await waits until no member can answer any more what was removed before roll was returned by an
// announcement, which was at. It returns an error that matches [provider.ErrUnacknowledged] if the time
// of ctx is about to end before.
//
// The lease of a member is counted from at, when the answer was there. Its deadline was moved by a beat
// that was executed before the announcement; or the beat has a later number, and then the member has seen
// the message. If the member was listed before with the same stamp, the lease is counted from there, since
// nothing has renewed it in between. So a removal that is tried again and again ends, too.
func (c *Channel) Await(ctx context.Context, roll Roll, at time.Time) error {
	c.exists.Store(true)
	w := &waiting{channel: c, roll: roll, left: c.others(&roll)}
	if rest := c.lease - roll.Age; rest > 0 { // members of the epoch before
		w.newborn = at.Add(rest)
	}
	w.until = w.newborn
	since := c.listed(&roll, at)
	for id, m := range w.left {
		if end := since[id].since.Add(m.Lease); end.After(w.until) {
			w.until = end
		}
	}
	if w.until.IsZero() {
		return nil
	}
	began := time.Now()
	c.waits.Add(1)
	err := w.run(ctx)
	c.waited.Add(int64(time.Since(began)))
	if err != nil {
		c.unacknowledged.Add(1)
	}
	return err
}

// listed notes which members roll has, which was there at that time, and returns since when each is
// known with its stamp.
func (c *Channel) listed(roll *Roll, at time.Time) map[string]listed {
	now := make(map[string]listed, len(roll.Members))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range roll.Members {
		now[m.ID] = listed{roll.Epoch, m.Stamp, at}
		if l, ok := c.known[m.ID]; ok && l.epoch == roll.Epoch && l.stamp == m.Stamp && l.since.Before(at) {
			now[m.ID] = l
		}
	}
	c.known = now
	return now
}

// others returns the members that a removal waits for, by their ids.
func (c *Channel) others(roll *Roll) map[string]Member {
	own := c.own.Load()
	left := make(map[string]Member)
	for _, m := range roll.Members {
		if m.Acked < roll.Seq && (own == nil || m.ID != own.id) {
			left[m.ID] = m
		}
	}
	return left
}

func (c *Channel) addStats(s *provider.MembershipStats) {
	s.Waits, s.Unacknowledged, s.Waited = c.waits.Load(), c.unacknowledged.Load(), time.Duration(c.waited.Load())
}

// waiting is a removal that waits for members.
type waiting struct {
	channel *Channel
	roll    Roll
	left    map[string]Member // those that have not acknowledged
	newborn time.Time         // when the leases of the epoch before are over; zero: they are
	until   time.Time         // when the last lease is over
}

// The first looks at the record follow one another, each as long as a round trip. Then the pauses between
// them double.
//
// A pause before the first look was rejected: in a process that has nothing else to do, a timer of 100 µs
// takes a millisecond, because the poller of the network counts in milliseconds. An acknowledgement on the
// same machine takes a fifth of that.
const (
	eagerLooks = 8
	firstPause = 100 * time.Microsecond
	lastPause  = 10 * time.Millisecond
)

// run waits until the last lease is over, or nobody is left.
func (w *waiting) run(ctx context.Context) error {
	ctx, cancel := w.leaveTime(ctx)
	defer cancel()
	pause := firstPause
	for looks := 0; ; looks++ {
		if len(w.left) == 0 {
			w.until = w.newborn
		}
		wait := time.Until(w.until)
		switch {
		case wait <= 0:
			w.expel(ctx)
			return nil
		case len(w.left) == 0: // for the epoch only
		case looks < eagerLooks:
			wait = 0
		default:
			wait = min(wait, pause)
			pause = min(2*pause, lastPause) //nolint:mnd // twice
		}
		if ctx.Err() != nil || wait > 0 && !sleep(ctx, wait) {
			return w.unacknowledged()
		}
		if len(w.left) > 0 {
			w.look(ctx)
		}
	}
}

// leaveTime returns a context that ends a little before ctx: an answer that comes at the deadline would
// count as a failure of the store.
func (*waiting) leaveTime(ctx context.Context) (context.Context, context.CancelFunc) {
	const part = 8 // of the time that is left
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/part))
}

func (w *waiting) unacknowledged() error {
	return fmt.Errorf("%w: %d near caches have not acknowledged, for at most %v more",
		provider.ErrUnacknowledged, len(w.left), max(0, time.Until(w.until)))
}

// look takes those members out of left who have acknowledged, or have left the record. A look that fails
// changes nothing, and so does one from before the announcement: who is not there may have come since. In
// another epoch nobody can acknowledge any more: the leases end by themselves.
func (w *waiting) look(ctx context.Context) {
	roll, err := w.channel.shared(ctx)
	if err != nil || roll.Epoch != w.roll.Epoch || roll.Seq < w.roll.Seq {
		return
	}
	now := make(map[string]Member, len(roll.Members))
	for _, m := range roll.Members {
		now[m.ID] = m
	}
	for id := range w.left {
		if m, there := now[id]; !there || m.Acked >= w.roll.Seq {
			delete(w.left, id)
		}
	}
}

// expel takes those out of the record whose lease is over, so that nobody else waits for them. Who was
// renewed since the announcement stays: its lease is not over, although it has seen the message, or does
// not answer.
func (w *waiting) expel(ctx context.Context) {
	for _, m := range w.left {
		if err := w.channel.server.Remove(ctx, m.ID, w.roll.Epoch, m.Stamp); err != nil {
			return // the next removal waits, too
		}
	}
}

// shared returns the record as it is after the call began, or a moment before. All removals that wait
// share one look.
func (c *Channel) shared(ctx context.Context) (Roll, error) {
	c.mu.Lock()
	l := c.look
	if l == nil {
		l = &look{done: make(chan struct{})}
		c.look = l
		go c.lookNow(l)
	}
	c.mu.Unlock()
	select {
	case <-l.done:
		return l.roll, l.err
	case <-ctx.Done():
		return Roll{}, ctx.Err()
	}
}

func (c *Channel) lookNow(l *look) {
	l.err = errLook // unless the server returns
	defer func() {
		c.mu.Lock()
		c.look = nil
		c.mu.Unlock()
		close(l.done)
	}()
	ctx, cancel := context.WithTimeout(c.ctx, c.lease) // Close ends it
	defer cancel()
	l.roll, l.err = c.server.Roll(ctx)
}

var errLook = errors.New("membership: the look at the record did not return")
