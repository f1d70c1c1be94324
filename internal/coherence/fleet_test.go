//go:build unix

package coherence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
)

// patience is how long the processes of a fleet may take for anything. A loaded
// machine needs seconds.
const patience = 2 * time.Minute

// scenario is a load on a fleet.
type scenario struct {
	config

	server  redistest.Options
	proxied bool // each process has a proxy in front of each server
	replica bool // there is a second server, a replica of the first
	prepare func(*fleet)
	disturb func(*fleet, <-chan struct{}) // runs until the channel is closed
	fault   *fault
	cycles  int           // of the fault
	reads   int64         // at least so many
	least   time.Duration // and at least so long
	until   []aim         // and until all of these are reached
}

// aim is what a run has to bring before it proves anything.
type aim struct {
	what    string
	reached func(*fleet) bool
}

// some is the aim that a counter is not zero.
func some(what string, counter func(*counters) *word) aim {
	return aim{what, func(f *fleet) bool { return f.sum(counter) > 0 }}
}

// missed names the aims that are not reached yet.
func (f *fleet) missed() (missed []string) {
	for _, a := range f.s.until {
		if !a.reached(f) {
			missed = append(missed, a.what)
		}
	}
	return missed
}

// fleet is a run of a scenario.
type fleet struct {
	t       *testing.T
	s       *scenario
	shared  *shared
	servers []*redistest.Server
	lag     *redistest.Proxy     // between the replica and its primary
	proxies [][]*redistest.Proxy // of each process, to each server
	members []*member
	stored  map[string]int64 // what was left in the store
}

// member is a process of a fleet.
type member struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	out    *bytes.Buffer
	errOut *bytes.Buffer
	ended  chan struct{}
	err    error // before ended is closed
	killed bool
}

// outcome is what a run brought.
type outcome struct {
	processes []*counters
	lasting   int // stored entries that were stale at the end
	samples   []string
	missed    []string // aims that were not reached in time
}

func (o *outcome) sum(counter func(*counters) *word, processes ...int) int64 {
	var n int64
	for i, p := range o.processes {
		if len(processes) == 0 || slices.Contains(processes, i) {
			n += counter(p).Load()
		}
	}
	return n
}

// largest is sum for a maximum.
func (o *outcome) largest(counter func(*counters) *word, processes ...int) int64 {
	var n int64
	for _, i := range processes {
		n = max(n, counter(o.processes[i]).Load())
	}
	return n
}

// run runs a scenario.
func run(t *testing.T, s scenario) *outcome {
	t.Helper()
	f := &fleet{t: t, s: &s, stored: make(map[string]int64)}
	shm, path := newShared(t, s.Keys)
	f.shared, s.Shared = shm, path
	f.startServers()
	if s.prepare != nil {
		s.prepare(f)
	}
	for p := range s.Processes {
		f.start(p)
	}
	f.waitFor("the processes", func() bool { return f.all(func(c *counters) bool { return c.ready.Load() != 0 }) })
	began := time.Now()
	f.shared.phase.Store(phaseRunning)
	stop := make(chan struct{})
	var disturbing sync.WaitGroup
	if s.disturb != nil {
		disturbing.Go(func() { s.disturb(f, stop) })
	}
	if s.fault != nil {
		time.Sleep(300 * time.Millisecond) // until the cache is warm
		for range s.cycles {
			f.cycle()
		}
	}
	enough := func() bool {
		return f.reads() >= s.reads && time.Since(began) >= s.least && len(f.missed()) == 0
	}
	// A machine may be too slow for that. What was read meanwhile is checked in any
	// case.
	f.wait(enough)
	missed := f.missed()
	if reads := f.reads(); reads < s.reads {
		missed = append(missed, fmt.Sprintf("%d reads, there were %d", s.reads, reads))
	}
	close(stop)
	disturbing.Wait()
	f.shared.phase.Store(phaseStopping)
	f.waitFor("what is under way", func() bool { return f.all(func(c *counters) bool { return c.settled.Load() != 0 }) })
	o := &outcome{lasting: f.lasting(), missed: missed}
	f.shared.phase.Store(phaseOver)
	for i, m := range f.members {
		o.processes = append(o.processes, &f.shared.process[i])
		o.samples = append(o.samples, f.report(m).Violations...)
	}
	f.log(o, time.Since(began))
	return o
}

func (f *fleet) startServers() {
	f.servers = []*redistest.Server{redistest.StartReal(f.t, f.s.server)}
	if f.s.replica {
		f.lag = redistest.NewProxy(f.t, f.servers[0].Addr())
		host, port, _ := strings.Cut(f.lag.Addr(), ":")
		f.servers = append(f.servers, redistest.StartReplica(f.t, f.servers[0], redistest.Options{Args: []string{"--replicaof", host + " " + port}}))
	}
	for range f.s.Processes {
		var proxies []*redistest.Proxy
		if f.s.proxied {
			for _, server := range f.servers {
				proxies = append(proxies, redistest.NewProxy(f.t, server.Addr()))
			}
		}
		f.proxies = append(f.proxies, proxies)
	}
}

// start starts process p: the test binary, once more.
func (f *fleet) start(p int) {
	f.t.Helper()
	cfg := f.s.config
	cfg.Process, cfg.Addrs = p, nil
	for i, server := range f.servers {
		addr := server.Addr()
		if f.s.proxied {
			addr = f.proxies[p][i].Addr()
		}
		cfg.Addrs = append(cfg.Addrs, addr)
	}
	m := &member{cmd: exec.Command(os.Args[0], "-coherence.child"), out: new(bytes.Buffer), errOut: new(bytes.Buffer), ended: make(chan struct{})}
	m.cmd.Stdout, m.cmd.Stderr = m.out, m.errOut
	stdin, err := m.cmd.StdinPipe()
	require.NoError(f.t, err)
	m.stdin = stdin
	require.NoError(f.t, m.cmd.Start())
	go func() {
		m.err = m.cmd.Wait()
		close(m.ended)
	}()
	f.t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		<-m.ended
	})
	f.members = append(f.members, m)
	require.NoError(f.t, json.NewEncoder(stdin).Encode(cfg))
}

// kill kills process p.
func (f *fleet) kill(p int) {
	m := f.members[p]
	m.killed = true
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// report waits for the end of a process and returns what it says.
func (f *fleet) report(m *member) report {
	f.t.Helper()
	var r report
	if m.killed {
		return r
	}
	select {
	case <-m.ended:
	case <-time.After(patience):
		f.t.Fatalf("a process does not end:\n%s", m.errOut)
	}
	require.NoError(f.t, m.err, "a process failed\n%s", m.errOut)
	require.NoError(f.t, json.Unmarshal(m.out.Bytes(), &r), "a process reported %q", m.out)
	return r
}

// all reports whether done is true of all processes that live.
func (f *fleet) all(done func(*counters) bool) bool {
	for i, m := range f.members {
		if !m.killed && !done(&f.shared.process[i]) {
			return false
		}
	}
	return true
}

func (f *fleet) sum(counter func(*counters) *word) (n int64) {
	for i := range f.members {
		n += counter(&f.shared.process[i]).Load()
	}
	return n
}

func (f *fleet) reads() int64 { return f.sum(func(c *counters) *word { return &c.reads }) }

func (f *fleet) waitFor(what string, ok func() bool) {
	f.t.Helper()
	require.True(f.t, f.wait(ok), "waited %v for %s", patience, what)
}

// wait waits until ok is true, and reports whether it was in time.
func (f *fleet) wait(ok func() bool) bool {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		for i, m := range f.members {
			select {
			case <-m.ended:
				require.True(f.t, m.killed, "process %d ended: %v\n%s", i, m.err, m.errOut)
			default:
			}
		}
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// settled waits until no invalidation is pending.
func (f *fleet) settled() {
	f.t.Helper()
	f.waitFor("pending invalidations", func() bool { return f.all(func(c *counters) bool { return c.pending.Load() == 0 }) })
}

// server returns the primary.
func (f *fleet) server() *redistest.Server { return f.servers[f.shared.primary.Load()] }

// lasting reads every key past all caches and returns how many stale entries are
// stored.
func (f *fleet) lasting() (n int) {
	f.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: f.server().Addr()})
	defer client.Close()
	for i, key := range keyNames(&f.s.config) {
		version, found, err := peek(context.Background(), &f.s.config, client, key)
		require.NoError(f.t, err, "reading what is stored under %s", key)
		if found {
			f.stored[key] = version
		}
		if found && version < f.shared.all[i].Load() {
			n++
		}
	}
	return n
}

func (f *fleet) log(o *outcome, took time.Duration) {
	f.t.Logf("%v: %d stored at the end, %d of them stale", took.Round(time.Millisecond), len(f.stored), o.lasting)
	for i, c := range o.processes {
		f.t.Logf("process %d: %d reads (%d failed), %d hits, %d joined, %d loads (%d in the background, %d unmodified), %d refused fills, %d served stale, %d sampled (%d stale); %d writes (%d puts), %d confirmed, %d pending, %d not held; violations %d (own %d), stale %d (%d without a fault, oldest %v, %v after the fault)",
			i, c.reads.Load(), c.failed.Load(), c.hits.Load(), c.joined.Load(), c.loads.Load(), c.refreshes.Load(), c.unmodified.Load(), c.refused.Load(), c.served.Load(), c.sampled.Load(), c.sampledStale.Load(), c.writes.Load(), c.put.Load(), c.confirmed.Load(), c.unconfirmed.Load(), c.notHeld.Load(),
			c.violations.Load(), c.own.Load(), c.stale.Load(), c.staleAfter.Load(), time.Duration(c.oldest.Load()).Round(time.Millisecond), time.Duration(c.oldestSinceEnd.Load()).Round(time.Millisecond))
	}
	for i, sample := range o.samples {
		if i < 10 {
			f.t.Logf("  %s", sample)
		}
	}
}

// wantNothing fails the test for every violation of G1, G2 and G4.
func (o *outcome) wantNothing(t *testing.T) {
	t.Helper()
	assert.Zero(t, o.sum(func(c *counters) *word { return &c.violations }), "violations of G1 in %d reads, such as: %s", o.sum(func(c *counters) *word { return &c.reads }), strings.Join(o.samples, "\n"))
	assert.Zero(t, o.lasting, "violations of G2: stale entries stored")
}

// activity are the aims of every run of the library.
func activity() []aim {
	return []aim{
		some("hits", func(c *counters) *word { return &c.hits }),
		some("joined reads", func(c *counters) *word { return &c.joined }),
		some("loads", func(c *counters) *word { return &c.loads }),
		some("refused fills", func(c *counters) *word { return &c.refused }),
		some("confirmed writes", func(c *counters) *word { return &c.confirmed }),
	}
}

// wantAims skips the test if the run has missed its aims, which takes a machine that
// is very slow: it went on for as long as patience. It comes after all checks of what
// was read.
func (o *outcome) wantAims(t *testing.T) {
	t.Helper()
	if len(o.missed) > 0 && !t.Failed() {
		proofs.TooLittle(t, fmt.Sprintf("a fleet missed, in %v: %s", patience, strings.Join(o.missed, ", ")))
	}
}
