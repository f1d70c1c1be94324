//go:build unix

package coherence_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
)

// The processes of a fleet with a fault: A writes, the others only read.
const (
	processA = 0
	processB = 1
	processC = 2
)

// fault is what happens between a write and its invalidation.
type fault struct {
	name    string
	replica bool
	once    bool         // it cannot happen twice to a fleet
	before  func(*fleet) // some time before the write
	strike  func(*fleet)
	heal    func(*fleet)
	// forgets: the server comes back without what it had confirmed. Without
	// the fence, what was invalidated before can be read again.
	forgets bool
	// kills the writer, which announces nothing.
	killsWriter bool
}

// faults are the columns of the second table.
func faults() []*fault {
	return []*fault{
		{
			name:   "server paused",
			strike: func(f *fleet) { f.server().Pause() },
			heal:   func(f *fleet) { f.server().Resume() },
		},
		{
			name:   "A cut off",
			strike: func(f *fleet) { f.hold(processA) },
			heal:   func(f *fleet) { f.release(processA) }, // what was held arrives late
		},
		{
			name: "A refused",
			strike: func(f *fleet) {
				f.proxies[processA][0].Refuse(true)
				f.proxies[processA][0].CutAll()
			},
			heal: func(f *fleet) { f.proxies[processA][0].Refuse(false) },
		},
		{
			name:   "reply lost",
			strike: func(f *fleet) { f.proxies[processA][0].Drop(redistest.ToClient, true) },
			heal: func(f *fleet) {
				f.proxies[processA][0].Drop(redistest.ToClient, false)
				f.proxies[processA][0].CutAll()
			},
		},
		lateFault(),
		{
			name:   "B cut off",
			strike: func(f *fleet) { f.hold(processB) },
			heal:   func(f *fleet) { f.release(processB) },
		},
		{
			name:   "killed, empty",
			strike: func(f *fleet) { f.server().Restart() },
		},
		{
			name:    "killed, old snapshot",
			forgets: true,
			before:  func(f *fleet) { f.server().Snapshot(); time.Sleep(100 * time.Millisecond) },
			strike:  func(f *fleet) { f.server().Restart() },
		},
		{
			name:    "failover to a lagging replica",
			forgets: true, replica: true, once: true,
			before: func(f *fleet) {
				f.lag.Hold(redistest.ToClient)
				time.Sleep(150 * time.Millisecond)
			},
			strike: func(f *fleet) {
				f.servers[0].Stop()
				f.servers[1].Promote()
				f.shared.primary.Store(1)
			},
		},
		{
			name: "A crashes", once: true, killsWriter: true,
			strike: func(f *fleet) { f.kill(processA) },
		},
		{
			name: "B crashes", once: true, // with all its leases
			strike: func(f *fleet) { f.kill(processB) },
		},
	}
}

func (f *fleet) hold(p int) {
	f.proxies[p][0].Hold(redistest.ToServer)
	f.proxies[p][0].Hold(redistest.ToClient)
}

func (f *fleet) release(p int) {
	f.proxies[p][0].Release(redistest.ToServer)
	f.proxies[p][0].Release(redistest.ToClient)
}

// lateFault keeps what A sends from the server and delivers it later, and
// delivers everything else that was sent a second time, late.
func lateFault() *fault {
	var taps []*redistest.Tap
	return &fault{
		name: "requests late, and twice",
		before: func(f *fleet) {
			taps = nil
			for p := range f.s.Processes {
				taps = append(taps, f.proxies[p][0].Record(changes))
			}
			time.Sleep(100 * time.Millisecond)
		},
		strike: func(f *fleet) {
			for _, tap := range taps {
				tap.Stop()
			}
			taps = append(taps, f.proxies[processA][0].Withhold(changes))
		},
		heal: func(f *fleet) {
			withheld := taps[len(taps)-1]
			withheld.Stop()
			f.proxies[processA][0].CutAll()
			f.settled() // by requests that were sent again
			for _, tap := range taps {
				f.replay(tap.Captured())
			}
		},
	}
}

// changes reports whether a command may change the store. A copy of a plain SET
// may bring an old value back: only the naive cache sends any.
func changes(c redistest.Command) bool {
	switch c.Name() {
	case "GET", "MGET", "HELLO", "CLIENT", "PING", "SCAN", "INFO":
		return false
	default:
		return true
	}
}

// replay delivers copies of requests, on connections of their own.
func (f *fleet) replay(commands []redistest.Command) {
	const most = 2000
	if len(commands) > most {
		commands = commands[len(commands)-most:]
	}
	var group sync.WaitGroup
	for len(commands) > 0 {
		n := min(len(commands), 1+rand.IntN(100))
		part := commands[:n]
		commands = commands[n:]
		group.Go(func() {
			conn, err := net.DialTimeout("tcp", f.server().Addr(), patience)
			if !assert.NoError(f.t, err, "replaying") {
				return
			}
			defer conn.Close()
			go func() {
				buf := make([]byte, 64<<10)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			}()
			for _, c := range part {
				if _, err := conn.Write(c.Raw); err != nil {
					f.t.Errorf("replaying %s: %v", c, err)
					return
				}
			}
			time.Sleep(20 * time.Millisecond) // until it has been executed
		})
	}
	group.Wait()
}

// cycle has a fault happen once: while it strikes, writes of A have changed the
// source and have not been invalidated.
func (f *fleet) cycle() {
	f.t.Helper()
	if f.s.fault.before != nil {
		f.s.fault.before(f)
	}
	f.shared.gate.Store(1)
	f.waitFor("writes at the gate", func() bool { return f.shared.atGate.Load() >= 8 })
	f.shared.faulty.Store(1)
	if f.s.fault.killsWriter {
		// It would have announced these; nobody has seen them any earlier.
		f.s.fault.strike(f)
		for i := range f.shared.source {
			if version := f.shared.source[i].Load(); version > f.shared.all[i].Load() {
				f.shared.announce(processA, i, version, false)
			}
		}
	} else {
		f.s.fault.strike(f)
	}
	f.shared.gate.Store(0)
	time.Sleep(300*time.Millisecond + rand.N(600*time.Millisecond))
	if f.s.fault.heal != nil {
		f.s.fault.heal(f)
	}
	f.shared.healed.Store(time.Now().UnixNano())
	f.shared.faulty.Store(0)
	f.settled()
	time.Sleep(300 * time.Millisecond)
}

// duplicates delivers every tenth request that may change something a second
// time, some milliseconds later and out of order.
func duplicates(f *fleet, stop <-chan struct{}) {
	var tap []*redistest.Tap
	for p := range f.proxies {
		var n atomic.Int64
		tap = append(tap, f.proxies[p][0].Record(func(c redistest.Command) bool {
			return changes(c) && n.Add(1)%10 == 0
		}))
	}
	done := make([]int, len(tap))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rand.IntN(8)) * time.Millisecond):
		}
		var late []redistest.Command
		for i := range tap {
			captured := tap[i].Captured()
			late = append(late, captured[done[i]:]...)
			done[i] = len(captured)
		}
		f.replay(late)
	}
}

// resets closes the connections of a process, again and again.
func resets(f *fleet, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(10+rand.IntN(50)) * time.Millisecond):
			f.proxies[rand.IntN(len(f.proxies))][0].CutAll()
		}
	}
}

// jitter makes the network slow, up to 4 ms in each direction.
func jitter(f *fleet) {
	for p, proxies := range f.proxies {
		for _, proxy := range proxies {
			proxy.Jitter(redistest.ToServer, 0, 4*time.Millisecond, f.s.Seed+uint64(p))
			proxy.Jitter(redistest.ToClient, 0, 4*time.Millisecond, f.s.Seed+uint64(p))
		}
	}
}

// fillOthers stores 40,000 keys that no operation touches, in the same scope.
func fillOthers(f *fleet) {
	f.t.Helper()
	client := newClient(&config{Addrs: []string{f.servers[0].Addr()}, Subject: f.s.Subject}, f.shared)
	defer client.Close()
	require.NoError(f.t, storeOthers(context.Background(), &f.s.config, client))
}
