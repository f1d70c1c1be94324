package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// errJoined is the error of a second Join.
var errJoined = errors.New("a store has one near cache at a time, and this one has one already")

// member is this process as a member. Three goroutines work for it, until Close:
//
//	listen   takes what comes by the subscription: it drops, and moves the deadline
//	beat     sends beats; a silent subscription is ended, so that listen makes a new one
//	ack      acknowledges, if the member is strict; one acknowledgement covers all before it
//
// Only the goroutine listen, and Close, change the state and the deadline. After Close has set closed, under
// mu, nothing changes them any more.
type member struct {
	channel  *Channel
	id       string
	listener provider.Listener
	strict   bool
	span     time.Duration // the lease, or the window
	cancel   context.CancelFunc
	running  sync.WaitGroup
	// toBeat wakes beat, toAck wakes ack.
	toBeat, toAck chan struct{}

	beats, lost, messages atomic.Int64

	mu sync.Mutex // guards following; Lost and ServeUntil of the listener are called under it

	state    state
	sent     map[int64]time.Time // of each beat that has not come back, by its number: the moment before it was sent
	number   int64               // of the last beat that was sent
	back     int64               // the highest number that has come back
	heard    time.Time           // when a beat came back, or could not
	deadline time.Time
	relisten context.CancelFunc // ends the subscription
	closed   bool
}

// Join makes this process a member. It returns at once.
func (c *Channel) Join(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error) {
	span := options.Window
	if options.Strict {
		span = c.lease
	}
	if listener == nil {
		return nil, errors.New("listener: must not be nil")
	}
	if span < provider.MinWindow {
		return nil, fmt.Errorf("JoinOptions.Window: %v: must be at least %v", span, provider.MinWindow)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	m := &member{
		channel: c, id: rand.Text(), listener: listener, strict: options.Strict, span: span, cancel: cancel,
		toBeat: make(chan struct{}, 1), toAck: make(chan struct{}, 1), sent: make(map[int64]time.Time),
	}
	if !c.own.CompareAndSwap(nil, m) {
		cancel()
		return nil, errJoined
	}
	c.exists.Store(true)
	m.running.Go(func() { m.listen(ctx) })
	m.running.Go(func() { m.beat(ctx) })
	if m.strict {
		m.running.Go(func() { m.ack(ctx) })
	}
	return m, nil
}

// interval is the time between two beats.
func (m *member) interval() time.Duration { return m.span / beatsPerLease }

// ---- what comes

// listen keeps a subscription open. Whatever was missed between two of them shows in the numbers.
func (m *member) listen(ctx context.Context) {
	for ctx.Err() == nil {
		until, cancel := context.WithCancel(ctx)
		m.mu.Lock()
		m.relisten = cancel
		m.mu.Unlock()
		err := m.channel.server.Listen(until, m.id, func() { notify(m.toBeat) }, m.deliver)
		cancel()
		if err != nil && !sleep(ctx, m.interval()) {
			return
		}
	}
}

// deliver takes what has come by the subscription.
func (m *member) deliver(message Message) {
	if message.Beat != 0 {
		m.beatBack(&message)
		return
	}
	m.messages.Add(1)
	// To drop comes first, whatever the message says about the order: when seen covers it, it is done. What
	// this process has removed itself, it drops before its call returns (Tell). To drop that again here
	// would lose what was loaded since.
	if message.Sender != m.id {
		m.listener.Removed(message.Removed)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	switch m.state.message(message.Epoch, message.Seq) {
	case outOfStep:
		m.serveUntilLocked(time.Time{})
		m.lostLocked()
	case dropAll:
		m.lostLocked()
	default:
	}
	notify(m.toAck)
}

// beatBack takes a beat that has come back, and moves the deadline. A strict member needs a beat that
// has renewed it: only then do others wait for it.
func (m *member) beatBack(message *Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sentAt, known := m.sent[message.Beat]
	if m.closed || !known {
		return
	}
	m.beats.Add(1)
	switch m.state.beat(message.Epoch, message.Seq) {
	case pass:
		return // a message has overtaken it: the next beat counts
	case dropAll:
		m.lostLocked()
		notify(m.toAck)
	default:
	}
	for number := range m.sent {
		if number <= message.Beat {
			delete(m.sent, number)
		}
	}
	m.back, m.heard = max(m.back, message.Beat), time.Now()
	if m.strict && !message.Renewed {
		notify(m.toBeat)
		return
	}
	if until := sentAt.Add(m.span); until.After(m.deadline) {
		m.serveUntilLocked(until)
	}
}

// lostLocked drops everything.
func (m *member) lostLocked() {
	m.lost.Add(1)
	m.listener.Lost()
}

func (m *member) serveUntilLocked(t time.Time) {
	m.deadline = t
	m.listener.ServeUntil(t)
}

// ---- what goes

// beat sends a beat in each interval, and one at once when the subscription is there, and when a
// beat has come back that did not renew the membership. A member whose last beat did not come back
// does not renew: it cannot prove that it hears messages, so nobody shall wait for it.
func (m *member) beat(ctx context.Context) {
	timer := time.NewTimer(m.interval())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.toBeat:
		case <-timer.C:
			timer.Reset(m.interval())
		}
		bounded, cancel := context.WithTimeout(ctx, m.span)
		err := m.channel.server.Beat(bounded, m.nextBeat())
		cancel()
		m.sentBeat(err)
	}
}

// nextBeat returns the beat to send.
func (m *member) nextBeat() Beat {
	m.mu.Lock()
	defer m.mu.Unlock()
	heard := m.number > 0 && m.back == m.number
	m.number++
	beat := Beat{Member: m.id, Number: m.number, Epoch: m.state.epoch, Seen: m.state.seen}
	if heard && m.strict {
		beat.Lease = m.span
	}
	m.sent[beat.Number] = time.Now()
	delete(m.sent, beat.Number-2*beatsPerLease) //nolint:mnd // the lease of that one is over
	return beat
}

// sentBeat ends a subscription that stays silent although the server has sent beats: its connection
// may be dead without an error.
func (m *member) sentBeat(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || m.heard.IsZero() {
		m.heard = time.Now() // nothing can have come
		return
	}
	if time.Since(m.heard) > max(silentLeases*m.span, leastSilence) && m.relisten != nil {
		m.relisten()
		m.heard = time.Now()
	}
}

// A subscription is silent after so many leases, and not before so long: to make one takes time, too.
const (
	silentLeases = 2
	leastSilence = time.Second
)

// ack acknowledges what was seen. While one acknowledgement is under way, more is seen, and the
// next covers all of it.
func (m *member) ack(ctx context.Context) {
	var acked state
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.toAck:
		}
		m.mu.Lock()
		seen := m.state
		m.mu.Unlock()
		if seen == acked || seen.epoch == "" {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, m.span)
		err := m.channel.server.Ack(bounded, m.id, seen.epoch, seen.seen)
		cancel()
		if err == nil {
			acked = seen
		} // else the next renewal carries it
	}
}

// tell drops what this process itself has removed.
func (m *member) tell(removed provider.Removed) { m.listener.Removed(removed) }

// ---- the end

// Close implements [provider.Membership]. The order matters: the member answers no more before it
// leaves the record.
func (m *member) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	m.serveUntilLocked(time.Time{})
	m.mu.Unlock()
	m.cancel()
	m.running.Wait()
	m.channel.own.CompareAndSwap(m, nil)
	if !m.strict {
		return nil
	}
	ctx, cancel := context.WithTimeout(m.channel.ctx, m.span)
	defer cancel()
	if err := m.channel.server.Remove(ctx, m.id, "", 0); err != nil {
		return fmt.Errorf("the membership was not given up, others wait for it once, for %v: %w", m.span, err)
	}
	return nil
}

// Stats implements [provider.Membership].
func (m *member) Stats() provider.MembershipStats {
	m.mu.Lock()
	valid := time.Now().Before(m.deadline)
	m.mu.Unlock()
	s := provider.MembershipStats{Beats: m.beats.Load(), Lost: m.lost.Load(), Messages: m.messages.Load(), Valid: valid}
	m.channel.addStats(&s)
	return s
}

// notify wakes who waits for c, if nobody has yet.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits for d, and returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
