//go:build unix

package coherence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
)

// baseline is a load on three processes that all read and write.
func baseline(t *testing.T, subject string) scenario {
	t.Helper()
	return scenario{
		config: config{
			Processes: maxProcesses, Seed: pickSeed(t), Subject: subject,
			Keys: 240, Families: 6, Skew: 2, Writers: maxProcesses, InFlight: 96,
			Mix:  mix{Bulk: 14, Burst: 6, Write: 6, Writes: 2, Prefix: 1},
			Hold: 30,
			TTL:  5 * time.Second, LeaseTTL: 2 * time.Second, LeaseWait: 200 * time.Millisecond,
			ProviderTimeout: time.Second, InvalidateTimeout: 5 * time.Second, // machines may be slow
		},
		reads: sized(100_000, proofs.Sized[int64](8_000, 5_000)), least: sized(3*time.Second, time.Second),
	}
}

// calm are the scenarios without an outage: the columns of the first table. `go test
// work` runs the first three.
var calm = []struct {
	name string
	edit func(*scenario)
}{
	{"3 processes", func(*scenario) {}},
	{"duplicates", func(s *scenario) { s.proxied, s.disturb = true, duplicates }},
	{"eviction", func(s *scenario) {
		// The buffers of the clients count, too. On a machine that is busy they grow to
		// megabytes, with the size of the values, and must not leave the entries without
		// any room.
		s.Keys, s.Families, s.Skew, s.Padding = 4800, 48, 1, 2<<10
		s.server = redistest.Options{Args: []string{"--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"}}
		s.until = append(s.until, aim{"evictions", (*fleet).evicted})
	}},
	{"1 process", func(s *scenario) { s.Processes = 1 }},
	{"hot keys", func(s *scenario) { s.Keys, s.Families, s.Skew = 12, 3, 3 }},
	{"hot keys, slow network", func(s *scenario) {
		s.Keys, s.Families, s.Skew = 12, 3, 3
		s.proxied, s.prepare = true, jitter
	}},
	{"prefix among 40,000", func(s *scenario) {
		s.prepare = fillOthers
		s.Mix.Write, s.Mix.Writes, s.Mix.Prefix = 2, 1, 4
		// An invalidation that rebuilds the index takes longer than a sample waits, and until it has returned, the
		// old value may be read.
		s.SampleOneIn, s.until = 0, activity()
	}},
	{"slow network 0–4 ms", func(s *scenario) { s.proxied, s.prepare = true, jitter }},
	{"resets", func(s *scenario) { s.proxied, s.disturb = true, resets }},
}

const calmTable = "No outage: stale / reads"

// TestCoherence checks G1 and G2 in fleets without an outage.
func TestCoherence(t *testing.T) {
	for i, c := range calm {
		t.Run(c.name, func(t *testing.T) {
			if i >= 3 {
				beyondTheFirst(t)
			}
			s := baseline(t, subjectOurs)
			s.until = append(activity(), some("samples", func(c *counters) *word { return &c.sampled }))
			s.SampleOneIn = 10
			c.edit(&s)
			o := run(t, s)
			putCalm(o, subjectOurs, c.name)
			o.wantNothing(t)
			assert.Zero(t, o.sum(func(c *counters) *word { return &c.sampledStale }), "stale values found by samples")
			o.wantAims(t)
		})
	}
	if *fullFlag {
		t.Run("a writer that forgets to invalidate", forgetful)
	}
}

// forgetful has a writer that forgets to invalidate: the samples that find nothing in TestCoherence find
// that.
func forgetful(t *testing.T) {
	t.Helper()
	s := baseline(t, subjectOurs)
	s.SampleOneIn, s.Forget = 10, 30
	s.until = []aim{some("stale values found by samples", func(c *counters) *word { return &c.sampledStale })}
	o := run(t, s)
	assert.Empty(t, o.missed)
	assert.Zero(t, o.sum(func(c *counters) *word { return &c.violations }), "forgotten writes are announced to nobody")
}

// evicted reports whether the server has evicted something.
func (f *fleet) evicted() bool {
	info, ok := f.server().Do("INFO", "stats").(string)
	return ok && !strings.Contains(info, "evicted_keys:0\r")
}

func putCalm(o *outcome, row, column string) { putCell(o, calmTable, row, column) }

func putCell(o *outcome, table, row, column string) {
	violations := o.sum(func(c *counters) *word { return &c.violations })
	reads := o.sum(func(c *counters) *word { return &c.reads })
	cell := fmt.Sprintf("%d / %d", violations, reads)
	if o.lasting > 0 {
		cell += fmt.Sprintf(", %d lasting", o.lasting)
	}
	if violations == 0 && o.lasting == 0 {
		cell = fmt.Sprintf("**0** / %d", reads)
	}
	tables.put(table, row, column, cell)
}

// TestTwins runs the checker on caches that lack a rule. A checker that finds
// nothing in them is broken; so is one that finds something in the cache of a
// hundred lines that has all the rules.
func TestTwins(t *testing.T) {
	for _, subject := range []string{subjectByHand, subjectClientToken, subjectNoBound, subjectFenceBefore, subjectTwin} {
		for _, c := range calm {
			if !*fullFlag && c.name != twinScenario {
				continue
			}
			if (c.name == "resets" || c.name == "duplicates") && subject != subjectByHand {
				continue // the small caches know nothing of outages
			}
			t.Run(subject+"/"+c.name, func(t *testing.T) {
				if subject != subjectByHand && subject != subjectTwin {
					beyondTheFirst(t)
				}
				s := baseline(t, subject)
				c.edit(&s)
				if c.name == twinScenario {
					s.until = []aim{{"what " + subject + " lacks", func(f *fleet) bool { return f.shows(subject) }}}
				}
				o := run(t, s)
				putCalm(o, subject, c.name)
				o.wantTwin(t, subject)
			})
		}
	}
}

// twinScenario is where every rule that a cache lacks shows, thousands of times.
const twinScenario = "hot keys, slow network"

// wantTwin checks that the checker finds what a subject lacks, and only that.
func (o *outcome) wantTwin(t *testing.T, subject string) {
	t.Helper()
	own := o.sum(func(c *counters) *word { return &c.own })
	assert.Empty(t, o.missed, "the checker missed in %v: %s", patience, strings.Join(o.missed, ", "))
	if subject == subjectTwin {
		o.wantNothing(t)
	}
	if subject == subjectNoBound {
		assert.Zero(t, own, "violations in the process of the writer, which tells its own flights; want only others")
	}
}

// shows reports whether the checker has found what a subject lacks. A run in which
// it does not ends in a failure.
func (f *fleet) shows(subject string) bool {
	switch subject {
	case subjectTwin:
		return true
	case subjectFenceBefore: // also in the process of the writer
		return f.sum(func(c *counters) *word { return &c.own }) > 0
	default:
		return f.sum(func(c *counters) *word { return &c.violations }) > 0
	}
}

// firstFaults are those that `go test work` runs, of each mode that it runs.
var firstFaults = []string{"requests late, and twice", "A cut off", "killed, empty"}

// mode is how a fleet writes, and which options it uses: the rows of the second
// table.
type mode struct {
	name     string
	subject  string
	fence    bool
	hold     bool
	full     bool // only in the full run
	first    bool // also in what `go test work` runs
	nothing  bool // no stale read at all, in any process
	unsafeAt bool // nothing is promised
	serves   bool // all that serves what is older than its TTL, or loads ahead
}

var modes = []mode{
	{name: subjectByHand, subject: subjectByHand, full: true, unsafeAt: true},
	{name: "default: pending", subject: subjectOurs, first: true},
	{name: "default, keeping serving", subject: subjectOurs, serves: true},
	{name: "pending + fence", subject: subjectOurs, fence: true, full: true},
	{name: "two-phase + pending", subject: subjectOurs, hold: true, full: true},
	{name: "two-phase + pending + fence", subject: subjectOurs, hold: true, fence: true, nothing: true},
}

const faultTable = "Faults between the write and the invalidation: stale reads in the writer's process A \\| in the others"

// TestFaults has a fault strike between the write and the invalidation, while
// three processes read.
func TestFaults(t *testing.T) {
	for _, m := range modes {
		if m.full && !*fullFlag {
			continue
		}
		for _, fault := range faults() {
			if m.serves && !*fullFlag && fault.name != "requests late, and twice" && fault.name != "A cut off" {
				continue
			}
			t.Run(m.name+"/"+fault.name, func(t *testing.T) {
				if !m.first || !slices.Contains(firstFaults, fault.name) {
					beyondTheFirst(t)
				}
				s := baseline(t, m.subject)
				s.until = []aim{some("hits", func(c *counters) *word { return &c.hits })}
				s.Keys, s.Families = 120, 6
				s.proxied, s.fault, s.replica = true, fault, fault.replica
				s.Fence, s.Writers, s.Hold = m.fence, 1, 0
				s.Mix = mix{Bulk: 14, Burst: 6, Write: 5, Writes: 2, Prefix: 1}
				if m.hold {
					s.Hold = 100
				}
				s.InFlight, s.ContextTimeout = 64, true
				s.TTL, s.LeaseTTL = 3*time.Second, time.Second
				s.ProviderTimeout, s.InvalidateTimeout = 100*time.Millisecond, 200*time.Millisecond
				s.BreakerCooldown = 200 * time.Millisecond
				if m.serves {
					s.Serving, s.TTL, s.RetryAfter = servings[len(servings)-1].serving, 100*time.Millisecond, 20*time.Millisecond
					s.Serving.StaleIfError = 2900 * time.Millisecond // as long as the others, in all
					s.Mix.Refresh, s.Mix.Put = 2, 2
				}
				s.cycles, s.least = sized(4, 1), time.Second
				if fault.once {
					s.cycles = 1
				}
				if fault.killsWriter {
					s.least = sized(8*time.Second, time.Second) // until its hold and what it left have ended
				}
				o := run(t, s)
				putFault(o, m.name, fault)
				o.wantFault(t, &s, m)
			})
		}
	}
}

func stale(c *counters) *word  { return &c.stale }
func oldest(c *counters) *word { return &c.oldest }

func putFault(o *outcome, row string, fault *fault) {
	cell := o.staleOf(processA) + " \\| " + o.staleOf(processB, processC)
	if fault.killsWriter {
		cell = "– \\| " + o.staleOf(processB, processC)
	}
	if o.lasting > 0 {
		cell += fmt.Sprintf(", %d lasting", o.lasting)
	}
	tables.put(faultTable, row, fault.name, cell)
}

// staleOf says how many stale reads there were in processes, how old they were,
// and how long after the end of the fault.
func (o *outcome) staleOf(processes ...int) string {
	n := o.sum(stale, processes...)
	if n == 0 {
		return "**0**"
	}
	after := o.sum(func(c *counters) *word { return &c.staleAfter }, processes...)
	text := fmt.Sprintf("%d (%v", n, time.Duration(o.largest(oldest, processes...)).Round(time.Millisecond))
	if after > 0 {
		since := o.largest(func(c *counters) *word { return &c.oldestSinceEnd }, processes...)
		text += fmt.Sprintf("; heal + %v", time.Duration(since).Round(time.Millisecond))
	}
	return text + ")"
}

// wantFault checks a run with a fault against what is documented for its mode.
func (o *outcome) wantFault(t *testing.T, s *scenario, m mode) {
	t.Helper()
	if m.unsafeAt {
		return
	}
	others := []int{processB, processC}
	if n := o.sum(stale, others...); m.nothing {
		assert.Zero(t, n, "stale reads in other processes than the writer's")
	}
	if (m.fence || !s.fault.forgets) && (!s.fault.killsWriter || m.hold || *fullFlag) {
		assert.Zero(t, o.lasting, "stale entries are stored at the end")
	}
	if m.fence || !s.fault.forgets {
		// What was announced to a reader, in its process or by an invalidation
		// that was confirmed, holds for it.
		assert.Zero(t, o.sum(func(c *counters) *word { return &c.violations }), "violations of G1, such as: %s", strings.Join(o.samples, "\n"))
		assert.Zero(t, o.sum(stale, processA), "stale reads in the writer's process")
	}
	// What nobody removes ends with its TTL, counted from the fill of a load that
	// had its lease before the write.
	assert.LessOrEqual(t, time.Duration(o.largest(oldest, processA, processB, processC)), s.kept()+s.LeaseTTL, "how long after its invalidation had returned an old value was read, which is stored for %v, with leases of %v", s.kept(), s.LeaseTTL)
	o.wantAims(t)
}
