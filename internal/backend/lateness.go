package backend

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A process that is short of processor time runs everything late: also the goroutine that an answer of
// the store has woken. To the deadline of the request that looks like a store that does not answer. So the
// backend measures how late the process runs, and draws two conclusions:
//
//   - A request has as much more time as its goroutines may have to wait for a processor, up to a bound.
//   - A timeout of a request that had less than that says little about the store. lateShare of them in a
//     row count like one failure: if nothing is answered at all, the reason does not matter.
//
// A sample is a timer that puts its goroutine behind all that are ready, as the network poller puts one
// that an answer has woken. It sees a processor that is too busy, a process that is stopped or throttled,
// and pauses of the runtime. There is one every interval, while requests are under way. Rejected: how late
// the timer of the deadline fires, since the runtime runs the goroutines of timers before those that wait,
// and runtime/metrics, which has a goroutine in eight and does not see a process that is stopped.
const (
	latenessWindow = time.Second // the lateness of this and of the window before counts
	latenessNoise  = 2           // less than an interval divided by this is none
	sampleParts    = 5           // how many samples there are in a timeout
	leastInterval  = time.Millisecond

	// lateTurns is how often a request waits for a processor: to be sent, to read its answer, and to
	// hand it on.
	lateTurns = 3
	// mostAllowance is how many timeouts a request may have more.
	mostAllowance = 8
)

// lateness is how late the process runs. It is safe for concurrent use.
type lateness struct {
	// interval and most are set by init, and not changed.
	interval, most time.Duration
	// underWay is the number of requests under way.
	underWay atomic.Int64
	// sampling: there is a timer for the next sample. Written under mu, by whoever starts the timer, and by
	// the sample that starts no other; read without it.
	sampling atomic.Bool
	// known: a lateness may count. Written under mu; read without it, to know that there is none.
	known atomic.Bool

	mu    sync.Mutex // guards following
	timer *time.Timer
	// due is when the next sample is due, while sampling.
	due time.Time
	// began is the beginning of the window. now and before are the most in it and in the one before.
	began       time.Time
	now, before time.Duration
}

// init sets what a request with that timeout needs.
func (l *lateness) init(timeout time.Duration) {
	l.interval, l.most = max(timeout/sampleParts, leastInterval), mostAllowance*timeout
}

// begin says that a request is under way. It returns how much longer than its timeout that may take.
func (l *lateness) begin() (allowance time.Duration) {
	l.underWay.Add(1)
	if l.sampling.Load() {
		return l.allowance()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sampling.Swap(true) {
		l.startLocked()
	}
	return l.allowanceLocked()
}

// end says that a request is not under way any more.
func (l *lateness) end() { l.underWay.Add(-1) }

// startLocked starts the timer of the next sample.
func (l *lateness) startLocked() {
	l.due = time.Now().Add(l.interval)
	if l.timer == nil {
		l.timer = time.AfterFunc(l.interval, l.sample)
		return
	}
	l.timer.Reset(l.interval)
}

// sample measures once, and starts the next timer if requests are under way.
func (l *lateness) sample() {
	runtime.Gosched() // behind all that are ready
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addLocked(time.Since(l.due))
	if l.underWay.Load() > 0 {
		l.startLocked()
		return
	}
	l.sampling.Store(false)
	// A request that has begun since has seen sampling, and started none.
	if l.underWay.Load() > 0 {
		l.sampling.Store(true)
		l.startLocked()
	}
}

// addLocked takes a measured lateness.
func (l *lateness) addLocked(late time.Duration) {
	if late*latenessNoise < l.interval {
		return
	}
	l.rollLocked()
	l.now = max(l.now, late)
	l.known.Store(true)
}

// rollLocked begins another window, if this one is over.
func (l *lateness) rollLocked() {
	switch age := time.Since(l.began); {
	case age < latenessWindow:
		return
	case age < 2*latenessWindow:
		l.before = l.now
	default:
		l.before = 0
	}
	l.began, l.now = time.Now(), 0
	l.known.Store(l.before > 0)
}

// recentLocked returns the most by which the process was late in the last second or two. A sample that
// is due and does not come counts.
func (l *lateness) recentLocked() time.Duration {
	if l.sampling.Load() {
		l.addLocked(time.Since(l.due))
	}
	l.rollLocked()
	return max(l.now, l.before)
}

// allowance returns how much longer than its timeout a request may take that begins now.
func (l *lateness) allowance() time.Duration {
	if !l.known.Load() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.allowanceLocked()
}

func (l *lateness) allowanceLocked() time.Duration { return min(lateTurns*l.recentLocked(), l.most) }

// excuses reports whether the process was so late that a request with that allowance may have timed out
// for it.
func (l *lateness) excuses(allowance time.Duration) (late time.Duration, excused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	late = l.recentLocked()
	return late, lateTurns*late > allowance
}

// errProcessLate returns err, of a request that has timed out while the process was late.
func errProcessLate(late time.Duration, err error) error {
	return fmt.Errorf("readthrough: this process runs up to %v late, so the store may be well: %w", late.Round(time.Millisecond), err)
}
