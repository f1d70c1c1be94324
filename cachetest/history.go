package cachetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough"
)

// Options configure a [History]. The zero value suits a cache that keeps its
// guarantees for all processes that share it.
type Options struct {
	// Confirmed says which processes' reads must see an invalidation that returned
	// nil. Zero means [Everybody]. A shared store without leases promises
	// [ThisProcess] only.
	Confirmed Reach

	// Pending says which processes' reads must see an invalidation whose error
	// matches [readthrough.ErrInvalidationPending]. Zero means [ThisProcess].
	// Mutations with a hold promise [Everybody].
	Pending Reach

	// MaxOperations is the most operations that the history records, such as
	// 100_000. Each key of a read, load, write or invalidation is one operation,
	// of about 100 bytes. Operations beyond the bound are counted in
	// [Report.Dropped] and not checked. Zero means 2,000,000. With a negative
	// value, [History.Check] returns an error.
	MaxOperations int

	_ struct{}
}

// Reach says which processes' reads must see an invalidation that has returned.
type Reach uint8

const (
	// DefaultReach means the default of the field.
	DefaultReach Reach = iota
	// Everybody means all processes.
	Everybody
	// ThisProcess means the process that invalidated.
	ThisProcess
	// Nobody means no process.
	Nobody
)

const defaultMaxOperations = 2_000_000

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Confirmed > Nobody {
		errs = append(errs, fmt.Errorf("cachetest: Options.Confirmed: %d: no such reach", o.Confirmed))
	}
	if o.Pending > Nobody {
		errs = append(errs, fmt.Errorf("cachetest: Options.Pending: %d: no such reach", o.Pending))
	}
	if o.MaxOperations < 0 {
		errs = append(errs, fmt.Errorf("cachetest: Options.MaxOperations: %d: must not be negative", o.MaxOperations))
	}
	if o.Confirmed == DefaultReach {
		o.Confirmed = Everybody
	}
	if o.Pending == DefaultReach {
		o.Pending = ThisProcess
	}
	if o.MaxOperations == 0 {
		o.MaxOperations = defaultMaxOperations
	}
	return o, errors.Join(errs...)
}

// History records the reads, loads, writes and invalidations of a test.
// [NewHistory] makes one. All methods are safe for concurrent use. An operation
// costs two increments of a shared counter, and a short lock for each of its keys.
//
// A History only grows. Every operation takes a place in one order when it begins
// and another when it ends; a commit of a [Source] takes one place. If one
// operation ends before another begins, its places are lower. [History.Check]
// relies on places, never on times.
type History struct {
	*record

	process int32
}

// record is the state that all views of a history share. options, bad and began do
// not change. The atomic fields are counters that any goroutine raises.
type record struct {
	options Options
	bad     error // the error of the options
	began   time.Time

	order    atomic.Int64 // the last place that was taken
	recorded atomic.Int64
	dropped  atomic.Int64
	failed   atomic.Int64 // operations that returned an error other than an absence or a pending invalidation
	keys     sync.Map     // string to *keyLog; entries are added and never removed

	mu            sync.Mutex // guards following
	processes     []string
	invalidations []invalidation
}

// keyLog has the operations on one key.
type keyLog struct {
	mu                   sync.Mutex // guards following; they only grow
	reads, loads, writes []operation
}

// operation is one operation on one key.
type operation struct {
	begin, end       int64 // places in the order; a write commits between them
	point            int64 // of a load: the place at which it read the source; 0: unknown
	version          int64
	beganAt, endedAt time.Duration // since the history began
	pointAt          time.Duration
	process          int32
	absent           bool // the answer was an absence
	unversioned      bool // the answer has no version to check
	swept            bool // loads were stopped, so the answer was stored
}

// invalidation is one invalidation.
type invalidation struct {
	begin, end       int64
	beganAt, endedAt time.Duration
	keys, prefixes   []string
	process          int32
	pending          bool
}

// NewHistory returns an empty history. In a synctest test, call it inside the
// bubble. If an option has a bad value, [History.Check] returns an error.
func NewHistory(options Options) *History {
	options, err := options.withDefaults()
	return &History{record: &record{options: options, bad: err, began: time.Now(), processes: []string{""}}}
}

// At returns the history for the process of that name: what the caller records
// with it belongs to that process. Without At, everything belongs to one process.
func (h *History) At(process string) *History {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.processes, process)
	if i < 0 {
		i = len(h.processes)
		h.processes = append(h.processes, process)
	}
	return &History{record: h.record, process: int32(i)}
}

// Invalidate runs invalidate, which invalidates key, and returns its error. If the
// error is nil or matches [readthrough.ErrInvalidationPending], later reads must
// see the invalidation, see [Options]. With any other error, they need not.
func (h *History) Invalidate(key string, invalidate func() error) error {
	return h.InvalidateTargets([]string{key}, nil, invalidate)
}

// InvalidatePrefix is [History.Invalidate] for all keys that begin with prefix.
func (h *History) InvalidatePrefix(prefix string, invalidate func() error) error {
	return h.InvalidateTargets(nil, []string{prefix}, invalidate)
}

// InvalidateTargets is [History.Invalidate] for several keys and prefixes at once.
func (h *History) InvalidateTargets(keys, prefixes []string, invalidate func() error) error {
	i := invalidation{begin: h.place(), beganAt: h.now(), process: h.process}
	err := invalidate()
	i.endedAt, i.end = h.now(), h.place()
	i.pending = errors.Is(err, readthrough.ErrInvalidationPending)
	if err != nil && !i.pending {
		h.failed.Add(1)
		return err
	}
	if !h.admit(len(keys) + len(prefixes)) {
		return err
	}
	i.keys, i.prefixes = slices.Clone(keys), slices.Clone(prefixes) // the originals belong to the caller
	h.mu.Lock()
	defer h.mu.Unlock()
	h.invalidations = append(h.invalidations, i)
	return err
}

// place takes the next place in the order.
func (r *record) place() int64 { return r.order.Add(1) }

func (r *record) now() time.Duration { return time.Since(r.began) }

// admit reports whether to record n more operations.
func (r *record) admit(n int) bool {
	if r.recorded.Add(int64(n)) <= int64(r.options.MaxOperations) {
		return true
	}
	r.recorded.Add(int64(-n))
	r.dropped.Add(int64(n))
	return false
}

// log returns the log of key.
func (r *record) log(key string) *keyLog {
	if log, ok := r.keys.Load(key); ok {
		return logOf(log)
	}
	log, _ := r.keys.LoadOrStore(strings.Clone(key), new(keyLog))
	return logOf(log)
}

// logOf asserts the type of a value of record.keys.
func logOf(value any) *keyLog {
	log, _ := value.(*keyLog) //nolint:errcheck // nothing else is stored
	return log
}

// which selects one of the logs of a key.
type which func(*keyLog) *[]operation

func reads(l *keyLog) *[]operation  { return &l.reads }
func loads(l *keyLog) *[]operation  { return &l.loads }
func writes(l *keyLog) *[]operation { return &l.writes }

// add records an operation on key.
func (r *record) add(key string, in which, o operation) {
	if !r.admit(1) {
		return
	}
	log := r.log(key)
	log.mu.Lock()
	defer log.mu.Unlock()
	to := in(log)
	*to = append(*to, o)
}

// T is the part of [testing.T] that [History.Verify] needs.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatal(args ...any)
}

// Verify calls [History.Check]. It fails the test with the error, and logs the
// report if there is none. Call it in the goroutine of the test.
func (h *History) Verify(t T) Report {
	t.Helper()
	report, err := h.Check()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", report)
	return report
}
