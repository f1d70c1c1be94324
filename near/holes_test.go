package near_test

import (
	"context"
	"fmt"
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

// The tests of this file build the interleavings of docs/holes.md, near caches. In each, A invalidates and
// B has the old value in its memory, or is about to put it there.

// pass waits until a read of another process must not be stale any more, after an invalidation has
// returned: not at all in strict mode, and for a window in the other.
func pass(options near.Options) {
	if !options.Strict {
		time.Sleep(near.DefaultWindow)
	}
}

// TestHoleN1FillOvertaken: the answer of the far store is under way to B when the message arrives, which
// finds nothing to drop.
func TestHoleN1FillOvertaken(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		a.read("k")
		g := b.hold(neartest.Executed, "get")
		go b.read("k") // it began before the invalidation, and may get the old value
		<-g.arrived
		a.write("k")
		synctest.Wait()
		g.open()
		synctest.Wait()
		b.wantRead("k", 2, readthrough.FromLoad)
		assert.NotZero(t, b.near.NearStats().RefusedFills)
	})
}

// TestHoleN1ConfirmedFillOvertaken: the same for what B has loaded and stored.
func TestHoleN1ConfirmedFillOvertaken(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		g := b.hold(neartest.Executed, "fill")
		go b.read("k")
		<-g.arrived
		a.write("k")
		synctest.Wait()
		g.open()
		synctest.Wait()
		b.wantRead("k", 2, readthrough.FromLoad)
	})
}

// TestHoleN2OwnProcess: a reader of A reads between the drop in A and the removal.
func TestHoleN2OwnProcess(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		a := fleet(t, neartest.NewServer(), 1, options)[0]
		warm([]*process{a}, "k")
		g := a.hold(neartest.Sent, "delete")
		var done sync.WaitGroup
		done.Go(func() { a.write("k") })
		<-g.arrived
		a.read("k")
		a.read("k")
		g.open()
		done.Wait()
		a.wantRead("k", 2, readthrough.FromLoad)
	})
}

// TestHoleN2OwnAnswerUnderWay: the far store has answered a reader of A before the removal, and the answer
// comes after the invalidation has returned.
func TestHoleN2OwnAnswerUnderWay(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, options)
		a, b := all[0], all[1]
		b.read("k")
		server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
			if to == a.far && m.Beat == 0 {
				return nil // its own message is lost, too
			}
			return []membership.Message{m}
		})
		g := a.hold(neartest.Executed, "get")
		go a.read("k")
		<-g.arrived
		a.write("k")
		g.open()
		synctest.Wait()
		a.wantRead("k", 2, readthrough.FromLoad)
	})
}

// faults are ways in which B does not hear of an invalidation.
func faults(server *neartest.Server) map[string]func(b *process) {
	return map[string]func(b *process){
		"message lost": func(b *process) {
			server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
				if to == b.far && m.Beat == 0 {
					return nil
				}
				return []membership.Message{m}
			})
		},
		"subscription silent": func(b *process) {
			server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
				if to == b.far {
					return nil
				}
				return []membership.Message{m}
			})
		},
		"subscription reconnects": func(b *process) {
			b.far.CutSubscription.Store(true)
			time.AfterFunc(10*time.Millisecond, func() { b.far.CutSubscription.Store(false) })
		},
		"subscription cut": func(b *process) { b.far.CutSubscription.Store(true) },
		"data cut":         func(b *process) { b.far.CutData.Store(true) },
		"both cut": func(b *process) {
			b.far.CutSubscription.Store(true)
			b.far.CutData.Store(true)
		},
		"messages late": func(b *process) {
			server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
				if to == b.far {
					time.Sleep(30 * time.Millisecond)
				}
				return []membership.Message{m}
			})
		},
		"messages very late": func(b *process) { // a process that is stopped, or an output buffer that overruns
			server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
				if to == b.far {
					time.Sleep(3 * lease)
				}
				return []membership.Message{m}
			})
		},
		"messages twice": func(b *process) {
			server.OnMessage(func(_ *neartest.Store, m membership.Message) []membership.Message {
				return []membership.Message{m, m}
			})
		},
		"messages in another order": func(b *process) {
			var held []membership.Message
			server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
				if to != b.far {
					return []membership.Message{m}
				}
				if held = append(held, m); len(held) < 3 {
					return nil
				}
				all := []membership.Message{held[2], held[1], held[0]}
				held = nil
				return all
			})
		},
	}
}

// TestHoleN3NotHeard: whatever keeps B from hearing of an invalidation, no read is stale that begins after
// it (in strict mode), or a window later. It is so again when the fault is over, and B does not stay
// without a memory.
func TestHoleN3NotHeard(t *testing.T) {
	for name := range faults(nil) {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, options near.Options) {
				server := neartest.NewServer()
				all := fleet(t, server, 2, options)
				a, b := all[0], all[1]
				for round := range int64(3) {
					warm(all, "k")
					faults(server)[name](b)
					for range 4 {
						a.write("k")
						pass(options)
						version, from := b.read("k")
						assert.Equal(t, a.source.Load(), version, "round %d: a read from %v", round, from)
						time.Sleep(lease / 10)
					}
					server.OnMessage(nil)
					b.far.CutSubscription.Store(false)
					b.far.CutData.Store(false)
					time.Sleep(10 * time.Second)
					synctest.Wait()
				}
				assert.True(t, b.near.NearStats().Membership.Valid)
			})
		})
	}
}

// TestHoleN4AckOfAnotherRound: an acknowledgement says up to which number, and comes after the drop. B's
// acknowledgement of the first invalidation arrives while the message of the second is under way.
func TestHoleN4AckOfAnotherRound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, near.Options{Strict: true})
		a, b := all[0], all[1]
		warm(all, "k")
		warm(all, "other")
		ack := b.hold(neartest.Sent, "ack")
		var first sync.WaitGroup
		first.Go(func() { a.write("other") })
		<-ack.arrived
		slow := make(chan struct{})
		server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
			if to == b.far {
				<-slow
			}
			return []membership.Message{m}
		})
		var returned atomic.Bool
		go func() {
			a.write("k")
			returned.Store(true)
		}()
		synctest.Wait()
		ack.open()
		first.Wait()
		time.Sleep(lease / 2)
		if returned.Load() {
			b.wantRead("k", a.source.Load(), readthrough.FromLoad)
		}
		close(slow)
		synctest.Wait()
		time.Sleep(lastLook)
		assert.True(t, returned.Load(), "the message was acknowledged")
		b.wantRead("k", a.source.Load(), readthrough.FromLoad)
	})
}

// lastLook is a little longer than the pause between looks for acknowledgements.
const lastLook = 25 * time.Millisecond

// TestHoleN5NewServer: the server is another one, and the members of the old one are not known to it. B
// has lost its subscription, and trusts its memory for the rest of its lease.
func TestHoleN5NewServer(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprint("keeps its record ", keep), func(t *testing.T) {
			modes(t, func(t *testing.T, options near.Options) {
				server := neartest.NewServer()
				all := fleet(t, server, 2, options)
				a, b := all[0], all[1]
				warm(all, "k")
				b.far.CutSubscription.Store(true)
				b.far.CutData.Store(true)
				server.Restart(keep)
				began := time.Now()
				a.write("k")
				assert.LessOrEqual(t, time.Since(began), lease, "the wait")
				pass(options)
				b.wantRead("k", 2, readthrough.FromLoad)
			})
		})
	}
}

// TestHoleN6Paused: B is stopped, and wakes after its lease, without having heard anything. Its first read
// must not find what was invalidated meanwhile.
func TestHoleN6Paused(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		stopped := make(chan struct{})
		server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
			if to == b.far {
				<-stopped
			}
			return []membership.Message{m}
		})
		b.far.On(neartest.Sent, func(_ context.Context, op string) error {
			if op == "beat" || op == "ack" {
				<-stopped
			}
			return nil
		})
		a.write("k")
		pass(options)
		b.wantRead("k", 2, readthrough.FromLoad)
		close(stopped)
		b.far.On(neartest.Sent, nil)
		time.Sleep(10 * time.Second)
		b.wantRead("k", 2, readthrough.FromStore)
		b.wantRead("k", 2, readthrough.FromNear)
	})
}

// TestHoleN7JoinsMeanwhile: B becomes a member between the removal and its announcement, or before both,
// and reads the old value first.
func TestHoleN7JoinsMeanwhile(t *testing.T) {
	for _, op := range []string{"delete", "announce"} {
		for _, when := range []neartest.When{neartest.Sent, neartest.Executed} {
			t.Run(fmt.Sprint(op, when), func(t *testing.T) {
				modes(t, func(t *testing.T, options near.Options) {
					server := neartest.NewServer()
					a := fleet(t, server, 1, options)[0]
					a.read("k")
					g := a.hold(when, op)
					var done sync.WaitGroup
					done.Go(func() { a.write("k") })
					<-g.arrived
					b := join(t, server, a.source, options, readthrough.ScopeOptions{TTL: time.Minute})
					synctest.Wait()
					b.read("k")
					b.read("k")
					g.open()
					done.Wait()
					pass(options)
					version, _ := b.read("k")
					assert.EqualValues(t, 2, version)
				})
			})
		}
	}
}

// TestHoleN8DeadMember: the invalidations of all processes together wait once for a member that has died.
func TestHoleN8DeadMember(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 3, near.Options{Strict: true})
		a, b, c := all[0], all[1], all[2]
		c.far.CutData.Store(true)
		c.far.CutSubscription.Store(true)
		began := time.Now()
		var done sync.WaitGroup
		for i := range 20 {
			done.Go(func() { a.write(fmt.Sprint("k", i)) })
			done.Go(func() { b.write(fmt.Sprint("l", i)) })
		}
		done.Wait()
		assert.LessOrEqual(t, time.Since(began), lease+2*lastLook, "at the same time")
		for i := range 5 {
			a.write(fmt.Sprint("k", i))
			b.write(fmt.Sprint("k", i))
		}
		assert.LessOrEqual(t, time.Since(began), lease+3*lastLook, "one after the other")
		assert.Equal(t, 2, server.Members())
	})
}

// TestHoleN8SilentSubscription: a member that hears nothing and can still send must not be waited for again
// and again.
func TestHoleN8SilentSubscription(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, near.Options{Strict: true})
		a, b := all[0], all[1]
		server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
			if to == b.far {
				return nil
			}
			return []membership.Message{m}
		})
		began := time.Now()
		for i := range 20 {
			a.write(fmt.Sprint("k", i))
		}
		assert.LessOrEqual(t, time.Since(began), 2*lease+lastLook)
	})
}

// TestHoleN9Prefix: the answer to B's read of a key under the prefix is under way. No memory lists it.
func TestHoleN9Prefix(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		a.read("list:1")
		g := b.hold(neartest.Executed, "get")
		go b.read("list:1")
		<-g.arrived
		a.source.Add(1)
		n, err := a.scope.InvalidatePrefix(t.Context(), "list:")
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		synctest.Wait()
		g.open()
		synctest.Wait()
		b.wantRead("list:1", 2, readthrough.FromLoad)
	})
}

// TestHoleN9PrefixIsOneMessage, however many keys it covers.
func TestHoleN9PrefixIsOneMessage(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, options)
		a, b := all[0], all[1]
		for i := range 100 {
			warm(all, fmt.Sprint("list:", i))
		}
		warm(all, "other")
		before := server.Seq()
		a.source.Add(1)
		_, err := a.scope.InvalidatePrefix(t.Context(), "list:")
		require.NoError(t, err)
		assert.EqualValues(t, 1, server.Seq()-before, "messages")
		pass(options)
		for i := range 100 {
			version, _ := b.read(fmt.Sprint("list:", i))
			require.EqualValues(t, 2, version)
		}
		b.wantRead("other", 1, readthrough.FromNear)
	})
}

// TestHoleN10Hold: a hold empties the memories before the write, and while it lasts nothing comes into one.
func TestHoleN10Hold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		all := fleet(t, neartest.NewServer(), 2, near.Options{Strict: true})
		a, b := all[0], all[1]
		warm(all, "k")
		warm(all, "list:1")
		_, err := readthrough.Mutate(t.Context(), a.scope, readthrough.Mutation[int]{
			Hold:    readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"list:"}},
			HoldFor: time.Minute,
			Write: func(context.Context) (int, error) {
				for _, p := range all {
					for _, k := range []string{"k", "list:1"} {
						for range 3 {
							p.wantRead(k, 1, readthrough.FromLoad) // in no memory
						}
					}
				}
				a.source.Add(1)
				for _, p := range all {
					p.wantRead("k", 2, readthrough.FromLoad)
				}
				return 0, nil
			},
		})
		require.NoError(t, err)
		for _, p := range all {
			for _, k := range []string{"k", "list:1"} {
				version, _ := p.read(k)
				assert.EqualValues(t, 2, version)
			}
		}
		_ = b
	})
}

// TestHoleN11Refreshed: A refreshes an entry that B has in its memory. B serves the new one when the old
// one is due, and does not load.
func TestHoleN11Refreshed(t *testing.T) {
	for name, options := range map[string]readthrough.ScopeOptions{
		"stale while revalidate": {TTL: 10 * time.Second, StaleWhileRevalidate: 10 * time.Second, Jitter: -1},
		"ahead":                  {TTL: 20 * time.Second, RefreshAheadFactor: 0.5, Jitter: -1},
	} {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, mode near.Options) {
				server, source := neartest.NewServer(), new(atomic.Int64)
				source.Store(1)
				a := join(t, server, source, mode, options)
				b := join(t, server, source, mode, options)
				settle()
				warm([]*process{a, b}, "k")
				server.OnMessage(func(to *neartest.Store, m membership.Message) []membership.Message {
					if to == b.far && m.Beat == 0 && m.Seq > 0 && !mode.Strict {
						return nil // B is not told that it was replaced
					}
					return []membership.Message{m}
				})
				time.Sleep(11 * time.Second)
				source.Store(2)
				a.read("k")
				synctest.Wait()
				assert.EqualValues(t, 2, a.loads.Load(), "loads of A")
				time.Sleep(200 * time.Millisecond)
				for range 20 {
					b.read("k")
					synctest.Wait()
					time.Sleep(110 * time.Millisecond)
				}
				version, _ := b.read("k")
				assert.EqualValues(t, 2, version)
				assert.Zero(t, b.loads.Load(), "loads of B")
			})
		})
	}
}

// TestHoleN12CutOff: B is cut off from everything. It answers from its memory no longer than its lease, and
// then loads.
func TestHoleN12CutOff(t *testing.T) {
	modes(t, func(t *testing.T, options near.Options) {
		all := fleet(t, neartest.NewServer(), 2, options)
		a, b := all[0], all[1]
		warm(all, "k")
		b.far.CutData.Store(true)
		b.far.CutSubscription.Store(true)
		b.wantRead("k", 1, readthrough.FromNear) // its lease lasts
		limit := lease
		if !options.Strict {
			limit = near.DefaultWindow
		}
		a.source.Add(1)
		time.Sleep(limit)
		b.wantRead("k", 2, readthrough.FromLoad)
		assert.False(t, b.near.NearStats().Membership.Valid)
		for range 20 { // the breaker is open
			b.wantRead("k", 2, readthrough.FromLoad)
		}
	})
}

// TestHoleN13Close: nobody waits for a process that has gone.
func TestHoleN13Close(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 2, near.Options{Strict: true})
		a, b := all[0], all[1]
		warm(all, "k")
		require.NoError(t, b.cache.Close())
		assert.Equal(t, 1, server.Members())
		began := time.Now()
		a.write("k")
		assert.Zero(t, time.Since(began))
		value, is := b.near.GetValue(key("k"))
		assert.Equal(t, provider.Unsure, is, "%v", value)
	})
}

// TestHoleN14Acknowledgements: one acknowledgement covers all messages before it.
func TestHoleN14Acknowledgements(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		server := neartest.NewServer()
		all := fleet(t, server, 5, near.Options{Strict: true})
		var acks atomic.Int64
		for _, p := range all {
			p.far.On(neartest.Sent, func(_ context.Context, op string) error {
				if op == "ack" {
					acks.Add(1)
					time.Sleep(10 * time.Millisecond)
				}
				return nil
			})
		}
		var done sync.WaitGroup
		for i := range 100 {
			done.Go(func() { all[0].write(fmt.Sprint("k", i)) })
		}
		done.Wait()
		synctest.Wait()
		assert.LessOrEqual(t, acks.Load(), int64(3*len(all)), "acknowledgements of 100 invalidations")
	})
}
