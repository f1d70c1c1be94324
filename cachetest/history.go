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

// Options configure a [History]. The zero value is right for a cache that keeps
// its guarantees for all that share it.
type Options struct {
	// Confirmed says whose reads an invalidation binds that returned nil. Zero
	// means [Everybody]. [ThisProcess] is what a store that processes share
	// without leases promises.
	Confirmed Reach

	// Pending says whose reads an invalidation binds that returned an error which
	// matches [readthrough.ErrInvalidationPending]. Zero means [ThisProcess].
	// [Everybody] is what mutations with a hold promise.
	Pending Reach

	// MaxOperations bounds what is recorded: each key of a read, load, write or
	// invalidation is one operation, and takes about 100 bytes. What comes later is
	// counted in [Report.Dropped] and not checked. Zero means 2,000,000; negative
	// is an error, with which [History.Check] fails.
	MaxOperations int

	_ struct{}
}

// Reach says whose reads an invalidation binds once it has returned.
type Reach uint8

const (
	// DefaultReach is what the field says that zero means.
	DefaultReach Reach = iota
	// Everybody means the readers of all processes.
	Everybody
	// ThisProcess means the readers of the process that invalidated.
	ThisProcess
	// Nobody means no reader.
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

// History records the reads, loads, writes and invalidations of a test. Make it
// with [NewHistory]; all its methods are safe for concurrent use. It costs an
// operation two increments of a shared counter and a short lock for each of its
// keys.
type History struct {
	*record

	process int32
}

// record is what the views of a history share.
type record struct {
	options Options
	bad     error // of the options
	began   time.Time

	order    atomic.Int64 // the last place that was taken
	recorded atomic.Int64
	dropped  atomic.Int64
	failed   atomic.Int64 // operations that returned another error
	keys     sync.Map     // string to *keyLog

	mu            sync.Mutex // guards following
	processes     []string
	invalidations []invalidation
}

// keyLog is what has happened to a key.
type keyLog struct {
	mu                   sync.Mutex // guards following
	reads, loads, writes []operation
}

// operation is one operation on one key.
type operation struct {
	begin, end       int64 // places in the order; those of a write enclose its commit
	point            int64 // of a load: when the source was read; 0: unknown
	version          int64
	beganAt, endedAt time.Duration // since the history began
	pointAt          time.Duration
	process          int32
	absent           bool // the answer was that there is nothing
	unversioned      bool // the answer has no version to be checked
	swept            bool // loads were stopped: what was read was stored
}

// invalidation is one invalidation.
type invalidation struct {
	begin, end       int64
	beganAt, endedAt time.Duration
	keys, prefixes   []string
	process          int32
	pending          bool
}

// NewHistory returns an empty history. In a synctest bubble it has to be made
// inside of it. Options with a bad value make [History.Check] fail.
func NewHistory(options Options) *History {
	options, err := options.withDefaults()
	return &History{record: &record{options: options, bad: err, began: time.Now(), processes: []string{""}}}
}

// At returns the history as the process of that name sees it: what it invalidates
// is said to be done by that process. Without At, all is one process.
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

// Invalidate runs invalidate, which is said to invalidate key, and returns its
// error. The readers are bound from its return on if that is nil, or matches
// [readthrough.ErrInvalidationPending], see [Options]; with any other error nobody
// is bound.
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
	i.keys, i.prefixes = slices.Clone(keys), slices.Clone(prefixes) // which are the caller's
	h.mu.Lock()
	defer h.mu.Unlock()
	h.invalidations = append(h.invalidations, i)
	return err
}

// place takes the next place in the order.
func (r *record) place() int64 { return r.order.Add(1) }

func (r *record) now() time.Duration { return time.Since(r.began) }

// admit reports whether n more operations are recorded.
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

// logOf returns a value of record.keys as what it is.
func logOf(value any) *keyLog {
	log, _ := value.(*keyLog) //nolint:errcheck // nothing else is stored
	return log
}

// which chooses one of the logs of a key.
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

// T is what [History.Verify] needs of a [testing.T].
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatal(args ...any)
}

// Verify fails the test if [History.Check] finds a violation, and logs the counts
// otherwise. Call it from the goroutine of the test.
func (h *History) Verify(t T) Report {
	t.Helper()
	report, err := h.Check()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", report)
	return report
}
