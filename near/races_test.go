package near_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// to returns an OnMessage that changes what p gets.
func (p *process) to(change func(m membership.Message) []membership.Message) neartest.OnMessage {
	return func(to *neartest.Store, m membership.Message) []membership.Message {
		if to != p.far {
			return []membership.Message{m}
		}
		return change(m)
	}
}

// TestHoleN3FillAcrossALoss: the message of an invalidation is lost while the answer to a read is under way.
// The loss is noticed before the answer comes.
func TestHoleN3FillAcrossALoss(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, options)
		a, b := all[0], all[1]
		a.read("k")
		g := b.hold(neartest.Executed, "get")
		go func() { // without the cache, which would not wait for so long
			entry, _, err := b.near.Get(t.Context(), key("k"))
			assert.NoError(t, err)
			encoded, ok := entry.Value.(provider.Encoded)
			var old *box
			assert.True(t, ok)
			assert.NoError(t, encoded.Decode(&old))
		}()
		<-g.arrived
		server.OnMessage(b.to(func(m membership.Message) []membership.Message {
			if m.Beat == 0 {
				return nil
			}
			return []membership.Message{m}
		}))
		a.write("k")
		time.Sleep(near.DefaultWindow)
		g.open()
		synctest.Wait()
		b.wantRead("k", 2, readthrough.FromLoad)
	})
}

// slowListener is a member whose drop takes long.
type slowListener struct {
	dropped atomic.Bool
	release chan struct{}
}

func (l *slowListener) Removed(provider.Removed) {
	<-l.release
	l.dropped.Store(true)
}
func (*slowListener) Lost()                {}
func (*slowListener) ServeUntil(time.Time) {}

// TestHoleN4AckAfterTheDrop: a member acknowledges when the drop is done, and not when the message is there.
func TestHoleN4AckAfterTheDrop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		a := fleet(t, server, 1, near.Options{Strict: true})[0]
		l := &slowListener{release: make(chan struct{})}
		far := neartest.NewStore(t.Context(), server, lease)
		_, err := far.Join(provider.JoinOptions{Strict: true}, l)
		require.NoError(t, err)
		settle()
		time.AfterFunc(lease/2, func() { close(l.release) })
		a.write("k")
		assert.True(t, l.dropped.Load(), "the invalidation has returned before the drop")
		require.NoError(t, far.Close())
	})
}

// TestHoleN7OldLook: a look at the record from before an announcement says nothing about who is gone: C has
// come since.
func TestHoleN7OldLook(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, near.Options{Strict: true})
		a, dead := all[0], all[1]
		a.read("k")
		dead.far.CutData.Store(true)
		dead.far.CutSubscription.Store(true)
		look := a.hold(neartest.Executed, "roll")
		var done sync.WaitGroup
		done.Go(func() { a.write("other") }) // it looks for the dead one
		<-look.arrived
		c := join(t, server, a.source, near.Options{Strict: true}, readthrough.ScopeOptions{TTL: time.Minute})
		time.Sleep(lease / 2) // what is left of the lease of the dead one is less than that of C, which beats
		warm([]*process{c}, "k")
		late := make(chan struct{})
		server.OnMessage(c.to(func(m membership.Message) []membership.Message {
			<-late
			return []membership.Message{m}
		}))
		done.Go(func() {
			a.write("k")
			c.wantRead("k", a.source.Load(), readthrough.FromLoad)
		})
		time.Sleep(5 * time.Millisecond) // it waits for the look that is under way
		look.open()
		done.Wait()
		close(late)
	})
}

// TestHoleN8RenewedMeanwhile: C is renewed after the announcement, and is then cut off before it could
// acknowledge. Its lease is longer than that of the removal that waits: it stays in the record.
func TestHoleN8RenewedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, near.Options{Strict: true})
		a, c := all[0], all[1]
		warm(all, "k")
		server.OnMessage(c.to(func(m membership.Message) []membership.Message {
			if m.Beat == 0 {
				time.Sleep(lease / 3) // it comes together with the next beat
			}
			return []membership.Message{m}
		}))
		renewed := false
		c.far.On(neartest.Executed, func(_ context.Context, op string) error {
			if op == "beat" {
				renewed = true
			}
			return nil
		})
		c.far.On(neartest.Sent, func(_ context.Context, op string) error {
			if op == "ack" || renewed {
				c.far.CutData.Store(true)
			}
			return nil
		})
		a.write("other")
		server.OnMessage(c.to(func(membership.Message) []membership.Message { return nil }))
		a.write("k")
		version, _ := c.read("k")
		assert.Equal(t, a.source.Load(), version)
	})
}

// TestHoleN13CloseStopsFirst: a member that leaves answers no more before it is out of the record.
func TestHoleN13CloseStopsFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		all := fleet(t, neartest.NewServer(), 2, near.Options{Strict: true})
		b := all[1]
		warm(all, "k")
		g := b.hold(neartest.Sent, "remove")
		go b.near.Close()
		<-g.arrived
		_, is := b.near.GetValue(key("k"))
		assert.Equal(t, provider.Unsure, is)
		g.open()
		synctest.Wait()
	})
}

// TestGetNearIsFresh: the memory does not answer with what is due.
func TestGetNearIsFresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server, source := neartest.NewServer(), new(atomic.Int64)
		p := join(t, server, source, near.Options{}, readthrough.ScopeOptions{TTL: 10 * time.Second, StaleWhileRevalidate: time.Minute, Jitter: -1})
		settle()
		p.read("k")
		time.Sleep(10*time.Second - 1)
		_, found := p.near.GetNear(key("k"))
		assert.True(t, found)
		time.Sleep(1)
		_, found = p.near.GetNear(key("k"))
		assert.False(t, found)
	})
}

// TestRandomFleet reads and writes at random under random faults, and checks each read. It prints its seed.
func TestRandomFleet(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	t.Log("seed", seed)
	for i := range *runsFlag {
		modes(t, func(t *testing.T, options near.Options) { newRandom(t, seed+int64(i), options).run() })
	}
}

// TestHoleN5EpochByMessage: the first thing that B hears of a new server is a message. What it has missed of
// the old one is unknown, so it answers no more until it has heard a beat.
func TestHoleN5EpochByMessage(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		b.far.On(neartest.Sent, func(_ context.Context, op string) error {
			if op == "beat" {
				b.far.CutData.Store(true)
			}
			return nil
		})
		server.NewEpoch()
		var done sync.WaitGroup
		done.Go(func() { a.write("other") })
		synctest.Wait()
		_, is := b.near.GetValue(key("k"))
		assert.Equal(t, provider.Unsure, is)
		done.Wait()
	})
}

// TestHoleN3Gap: the message about one key is lost, and the next one arrives and is acknowledged.
func TestHoleN3Gap(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		var lost atomic.Bool
		server.OnMessage(b.to(func(m membership.Message) []membership.Message {
			if m.Beat == 0 && lost.CompareAndSwap(false, true) {
				return nil
			}
			return []membership.Message{m}
		}))
		var done sync.WaitGroup
		done.Go(func() {
			a.write("k")
			if options.Strict {
				version, _ := b.read("k")
				assert.Equal(t, a.source.Load(), version)
			}
		})
		time.Sleep(time.Millisecond)
		a.write("other")
		done.Wait()
		synctest.Wait()
		version, _ := b.read("k") // the second message says that there was a first one
		assert.Equal(t, a.source.Load(), version)
	})
}

// TestHoleN7ProbeIsNoLease: B has heard a beat, and is in no record yet. Nobody would wait for it.
func TestHoleN7ProbeIsNoLease(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		far := neartest.NewStore(t.Context(), server, lease)
		beats, opened := 0, make(chan struct{})
		far.On(neartest.Sent, func(_ context.Context, op string) error {
			if op != "beat" {
				return nil
			}
			if beats++; beats == 2 {
				<-opened
			}
			return nil
		})
		b, err := near.New(far, near.Options{Strict: true})
		require.NoError(t, err)
		defer func() { assert.NoError(t, b.Close()) }()
		synctest.Wait()
		require.Equal(t, 2, beats)
		stats := b.NearStats().Membership
		assert.EqualValues(t, 1, stats.Beats)
		assert.False(t, stats.Valid)
		assert.Zero(t, server.Members())
		close(opened)
		synctest.Wait()
		assert.True(t, b.NearStats().Membership.Valid)
	})
}
