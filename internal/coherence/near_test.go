//go:build unix

package coherence_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// Modes of a near cache, and twins that lack a rule.
const (
	nearStrict  = "strict"
	nearBounded = "bounded"
	// nearTTL is memory that nobody tells anything, as most services have it.
	nearTTL = "TTL only"
	// nearPush is memory that is told, and proves nothing: it may answer for ever.
	nearPush = "push only"
)

// newNear puts a near cache in front of a store.
func newNear(cfg *config, far *redisprovider.Provider) (provider.CacheProvider, error) {
	switch cfg.Near {
	case nearStrict:
		return near.New(far, near.Options{Strict: true})
	case nearBounded:
		return near.New(far, near.Options{Window: cfg.Window})
	default:
		return near.New(trusting{far, cfg.Near == nearPush}, near.Options{})
	}
}

// trusting is a store whose member may always answer. If it hears, it is told what is removed, by others too.
type trusting struct {
	*redisprovider.Provider

	hears bool
}

func (s trusting) Join(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
	m, err := s.Provider.Join(options, trustingListener{l, s.hears})
	l.ServeUntil(time.Now().Add(time.Hour))
	return m, err
}

type trustingListener struct {
	provider.Listener

	hears bool
}

func (l trustingListener) Removed(removed provider.Removed) {
	if l.hears {
		l.Listener.Removed(removed)
	}
}
func (trustingListener) Lost()                {}
func (trustingListener) ServeUntil(time.Time) {}

// nearBaseline is baseline with a near cache in each process.
func nearBaseline(t *testing.T, mode string) scenario {
	t.Helper()
	s := baseline(t, subjectOurs)
	s.Near, s.Window, s.NearLease = mode, 300*time.Millisecond, 300*time.Millisecond
	s.until = append(activity(), nearHits()...)
	return s
}

func nearHits() []aim {
	return []aim{some("near hits", func(c *counters) *word { return &c.nearHits })}
}

const nearTable = "Near caches: stale / reads"

// TestNear is TestCoherence with near caches: strict ones are never stale, and bounded ones no longer than their
// window. CI runs the first column without an outage,
// and those of near caches, of which bounded ones get one; -coherence.full all.
func TestNear(t *testing.T) {
	for mode, faults := range map[string]int{nearStrict: len(calmNear), nearBounded: sized(len(calmNear), 1)} {
		for i, c := range append(slices.Clip(sized(calm, calm[:1])), calmNear[:faults]...) {
			t.Run(mode+"/"+c.name, func(t *testing.T) {
				if i >= 1 {
					beyondTheFirst(t)
				}
				s := nearBaseline(t, mode)
				c.edit(&s)
				o := run(t, s)
				putNear(o, mode, c.name)
				o.wantNothing(t)
				o.wantAims(t)
			})
		}
	}
}

// calmNear are faults of near caches that no invalidation of a strict one may notice, but for its time.
var calmNear = []struct {
	name string
	edit func(*scenario)
}{
	{"subscriptions cut", func(s *scenario) { s.disturb = cutSubscriptions }},
	{"processes stopped", func(s *scenario) { s.disturb = stopProcesses }},
	{"small output buffers", func(s *scenario) {
		s.server.Args = []string{"--client-output-buffer-limit", "pubsub 2kb 0 0"}
		s.proxied, s.prepare = true, jitter
	}},
}

// cutSubscriptions closes the connections that messages come by, and no others.
func cutSubscriptions(f *fleet, stop <-chan struct{}) {
	client := redis.NewClient(&redis.Options{Addr: f.server().Addr()})
	defer client.Close()
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(20+rand.IntN(100)) * time.Millisecond):
			assert.NoError(f.t, client.ClientKillByFilter(f.t.Context(), "TYPE", "pubsub").Err())
		}
	}
}

// stopProcesses stops a process for longer than its lease, again and again.
func stopProcesses(f *fleet, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(50+rand.IntN(200)) * time.Millisecond):
		}
		process := f.members[rand.IntN(len(f.members))].cmd.Process
		assert.NoError(f.t, process.Signal(syscall.SIGSTOP))
		time.Sleep(f.s.NearLease + time.Duration(rand.IntN(100))*time.Millisecond)
		assert.NoError(f.t, process.Signal(syscall.SIGCONT))
	}
}

func putNear(o *outcome, row, column string) {
	cell := fmt.Sprintf("%d / %d", o.sum(func(c *counters) *word { return &c.violations }), o.sum(func(c *counters) *word { return &c.reads }))
	if n := o.sum(func(c *counters) *word { return &c.withinWindow }); n > 0 {
		oldest := time.Duration(o.largest(func(c *counters) *word { return &c.oldestNear }, processA, processB, processC))
		cell += fmt.Sprintf(", %d within the window, the oldest %v", n, oldest.Round(100*time.Microsecond))
	}
	tables.put(nearTable, row, column, cell)
}

// TestNearTwins: the checker finds what near caches lack that are told nothing, or prove nothing.
func TestNearTwins(t *testing.T) {
	for mode, disturb := range map[string]func(*fleet, <-chan struct{}){nearTTL: nil, nearPush: cutSubscriptions} {
		t.Run(mode, func(t *testing.T) {
			if mode == nearPush {
				beyondTheFirst(t)
			}
			s := nearBaseline(t, mode)
			s.Keys, s.Families, s.Skew, s.disturb = 12, 3, 3, disturb
			s.until = []aim{{"stale reads", func(f *fleet) bool { return f.sum(func(c *counters) *word { return &c.violations }) > 0 }}}
			o := run(t, s)
			putNear(o, mode, "hot keys")
			assert.Empty(t, o.missed, "the checker missed in %v: %s", patience, strings.Join(o.missed, ", "))
		})
	}
}

// TestNearFaults has a fault strike between the write and the invalidation, while three processes with near caches
// read. What is confirmed holds for all of them, or, if they are bounded, after their window.
func TestNearFaults(t *testing.T) {
	for _, mode := range []string{nearStrict, nearBounded} {
		columns := append(sized(faults(), faults()[:4]), nearFaults()...)
		if mode == nearBounded {
			columns = sized(columns, nearFaults()) // the others strike the server, and the strict mode is the harder one
		}
		for _, fault := range columns {
			t.Run(mode+"/"+fault.name, func(t *testing.T) {
				beyondTheFirst(t)
				s := nearBaseline(t, mode)
				s.until = nearHits()
				s.Keys, s.Families = 120, 6
				s.proxied, s.fault, s.replica = true, fault, fault.replica
				s.Fence, s.Writers, s.Hold = true, 1, 0
				s.Mix = mix{Bulk: 14, Burst: 6, Write: 5, Writes: 2, Prefix: 1}
				s.InFlight, s.ContextTimeout = 64, true
				s.TTL, s.LeaseTTL = 3*time.Second, time.Second
				s.ProviderTimeout, s.InvalidateTimeout = 100*time.Millisecond, time.Second
				s.BreakerCooldown = 200 * time.Millisecond
				s.cycles, s.least = sized(4, 1), time.Second
				if fault.once {
					s.cycles = 1
				}
				o := run(t, s)
				putNear(o, mode, fault.name)
				if !fault.killsWriter {
					o.wantNothing(t)
				}
				o.wantAims(t)
			})
		}
	}
}

// nearFaults are those of a process with a near cache.
func nearFaults() []*fault {
	return []*fault{
		{
			name:   "B stopped",
			strike: func(f *fleet) { _ = f.members[processB].cmd.Process.Signal(syscall.SIGSTOP) },
			heal:   func(f *fleet) { _ = f.members[processB].cmd.Process.Signal(syscall.SIGCONT) },
		},
		{
			name:   "answers to B are lost",
			strike: func(f *fleet) { f.proxies[processB][0].Drop(redistest.ToClient, true) },
			heal: func(f *fleet) {
				f.proxies[processB][0].Drop(redistest.ToClient, false)
				f.proxies[processB][0].CutAll()
			},
		},
	}
}
