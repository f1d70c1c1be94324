package cachetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Report counts what a history has recorded. It counts keys: a bulk read of ten keys
// is ten reads.
type Report struct {
	// Keys is the number of different keys.
	Keys int
	// Reads is the number of checked reads. Absent is how many of them found nothing;
	// Swept is how many found something stored in [Source.Sweep].
	Reads, Absent, Swept int
	// Bound is the number of reads that could have been stale: they began after an
	// invalidation of their key had returned, and the key had been written before
	// that invalidation. A history without such reads proves nothing.
	Bound int
	// Loads, Writes and Invalidations count the other operations. In a [Source], the
	// first version of a key is not a write. Pending is the number of invalidations
	// whose error matches [readthrough.ErrInvalidationPending].
	Loads, Writes, Invalidations, Pending int
	// Failed is the number of operations that returned another error. They were not
	// checked.
	Failed int
	// Dropped is the number of operations beyond [Options.MaxOperations]. They were
	// not checked, which may hide violations but never creates one.
	Dropped int
	// Violations is the number of reads that broke a guarantee.
	Violations int

	_ struct{}
}

// String returns the verdict and the counts in one line.
func (r Report) String() string {
	verdict := "consistent"
	if r.Violations > 0 {
		verdict = fmt.Sprintf("NOT consistent: %d violations", r.Violations)
	}
	s := fmt.Sprintf("%s: %d reads of %d keys (%d after an invalidation, %d absent, %d swept), %d loads, %d writes, %d invalidations (%d pending), %d failed",
		verdict, r.Reads, r.Keys, r.Bound, r.Absent, r.Swept, r.Loads, r.Writes, r.Invalidations, r.Pending, r.Failed)
	if r.Dropped > 0 {
		s += fmt.Sprintf(", %d not recorded", r.Dropped)
	}
	return s
}

// Check checks what was recorded so far. If a guarantee was broken, the error is a
// [*ViolationError] with the smallest counterexample. Check may run at any time, also
// while the test runs. A million operations take about a second.
func (h *History) Check() (Report, error) {
	if h.bad != nil {
		return Report{}, h.bad
	}
	c := &checker{record: h.record}
	c.index()
	c.report.Failed, c.report.Dropped = int(h.failed.Load()), int(h.dropped.Load())
	h.keys.Range(func(key, log any) bool {
		c.key(fmt.Sprint(key), logOf(log))
		return true
	})
	if c.worst == nil {
		return c.report, nil
	}
	return c.report, c.explain()
}

// checker is one run of Check. One goroutine uses it.
//
// For a read R of key k in version v, consider the invalidations that cover k, bind
// R's process, and had returned before R began. Let I be the one of them that began
// last. The newest version of k that had committed before I began is at least as new
// as before any other of them. R is stale if v is older than that version. So for
// each target and each place in the order it is enough to know the latest begin among
// the invalidations that had returned by then. That is a search in a sorted list,
// whatever the number of invalidations.
type checker struct {
	*record

	processes     []string
	invalidations []invalidation
	byKey         map[string]*target
	byPrefix      map[string]*target
	lengths       []int // the distinct lengths of the prefixes
	report        Report
	worst         *suspect
}

// target has the invalidations of a key or prefix: those that bind all processes, and
// those that bind their own.
type target struct {
	all spans
	own map[int32]spans
}

// spans are invalidations, ordered by their ends.
type spans []span

type span struct {
	end    int64
	latest int // the index of the invalidation that began last, among all up to this one
}

// suspect is a read that broke a guarantee.
type suspect struct {
	key  string
	read operation
	by   int // the index of the invalidation, -1 for a foreign value
	span int64
}

// index groups the invalidations by key and prefix.
func (c *checker) index() {
	c.mu.Lock()
	c.invalidations = slices.Clone(c.record.invalidations)
	c.processes = slices.Clone(c.record.processes)
	c.mu.Unlock()
	slices.SortFunc(c.invalidations, func(a, b invalidation) int { return cmp.Compare(a.end, b.end) })
	c.byKey, c.byPrefix = map[string]*target{}, map[string]*target{}
	for i := range c.invalidations {
		inv := &c.invalidations[i]
		reach := c.options.Confirmed
		c.report.Invalidations++
		if inv.pending {
			reach = c.options.Pending
			c.report.Pending++
		}
		for _, key := range inv.keys {
			c.bind(c.byKey, key, i, reach)
		}
		for _, prefix := range inv.prefixes {
			c.bind(c.byPrefix, prefix, i, reach)
		}
	}
	for prefix := range c.byPrefix {
		if !slices.Contains(c.lengths, len(prefix)) {
			c.lengths = append(c.lengths, len(prefix))
		}
	}
}

// bind adds invalidation i to the target of that name.
func (c *checker) bind(to map[string]*target, name string, i int, reach Reach) {
	t := to[name]
	if t == nil {
		t = &target{own: map[int32]spans{}}
		to[name] = t
	}
	switch reach {
	case Everybody:
		t.all = c.extend(t.all, i)
	case ThisProcess:
		p := c.invalidations[i].process
		t.own[p] = c.extend(t.own[p], i)
	default:
	}
}

// extend adds invalidation i to s. It ends after all invalidations in s.
func (c *checker) extend(s spans, i int) spans {
	latest := i
	if len(s) > 0 && c.invalidations[s[len(s)-1].latest].begin > c.invalidations[i].begin {
		latest = s[len(s)-1].latest
	}
	return append(s, span{end: c.invalidations[i].end, latest: latest})
}

// covering returns the targets that cover key.
func (c *checker) covering(key string) (targets []*target) {
	if t, ok := c.byKey[key]; ok {
		targets = append(targets, t)
	}
	for _, n := range c.lengths {
		if n > len(key) {
			continue
		}
		if t, ok := c.byPrefix[key[:n]]; ok {
			targets = append(targets, t)
		}
	}
	return targets
}

// binding returns the index of the invalidation that began last, among those of
// targets that had returned before the read began; -1 if there is none.
func (c *checker) binding(targets []*target, read operation) int {
	best := -1
	for _, t := range targets {
		for _, s := range [2]spans{t.all, t.own[read.process]} {
			n, _ := slices.BinarySearchFunc(s, read.begin, func(s span, place int64) int { return cmp.Compare(s.end, place) })
			if n > 0 && (best < 0 || c.invalidations[s[n-1].latest].begin > c.invalidations[best].begin) {
				best = s[n-1].latest
			}
		}
	}
	return best
}

// key checks the reads of a key.
func (c *checker) key(key string, log *keyLog) {
	log.mu.Lock()
	done, committed, loaded := log.reads, slices.Clone(log.writes), len(log.loads) // operations that are appended later are not seen
	log.mu.Unlock()
	v := newVersions(committed)
	targets := c.covering(key)
	c.report.Keys++
	c.report.Loads += loaded
	c.report.Writes += v.written()
	for _, read := range done {
		c.report.Reads++
		if read.absent {
			c.report.Absent++
		}
		if read.swept {
			c.report.Swept++
		}
		if read.version == foreign || c.report.Dropped == 0 && v.unknown(read) {
			c.suspect(suspect{key: key, read: read, by: -1})
			continue
		}
		by := c.binding(targets, read)
		if by < 0 {
			continue
		}
		floor, ok := v.before(c.invalidations[by].begin)
		if !ok {
			continue
		}
		c.report.Bound++
		if v.stale(read, floor) {
			c.suspect(suspect{key: key, read: read, by: by, span: read.end - c.invalidations[by].begin})
		}
	}
}

// suspect counts a violation, and keeps the one that spans the fewest steps.
func (c *checker) suspect(s suspect) {
	c.report.Violations++
	w := c.worst
	if w == nil || s.span < w.span || s.span == w.span && s.read.begin < w.read.begin {
		c.worst = &s
	}
}

// versions are the writes of a key.
type versions struct {
	ends    []operation // ordered by their ends, the places by which they had committed
	newest  []operation // newest[i] is the write with the highest version up to ends[i]
	absent  []operation // the writes of an absence
	exact   bool        // every version is known, and is the place of its commit
	ordinal map[int64]bool
}

func newVersions(committed []operation) *versions {
	v := &versions{ends: committed, exact: true, ordinal: make(map[int64]bool, len(committed))}
	slices.SortFunc(v.ends, func(a, b operation) int { return cmp.Compare(a.end, b.end) })
	for i, w := range v.ends {
		if i > 0 && v.newest[i-1].version > w.version {
			w = v.newest[i-1]
		}
		v.newest = append(v.newest, w)
	}
	for _, w := range v.ends {
		v.exact = v.exact && w.begin == w.end
		v.ordinal[w.version] = true
		if w.absent {
			v.absent = append(v.absent, w)
		}
	}
	return v
}

// written returns the number of writes. In an exact history, the first version is not
// a write.
func (v *versions) written() int {
	if v.exact {
		return max(0, len(v.ends)-1)
	}
	return len(v.ends)
}

// before returns the newest version that had committed before place.
func (v *versions) before(place int64) (operation, bool) {
	n, _ := slices.BinarySearchFunc(v.ends, place, func(w operation, place int64) int { return cmp.Compare(w.end, place) })
	if n == 0 {
		return operation{}, false
	}
	return v.newest[n-1], true
}

// unknown reports whether a read returned a version that its key never had, or did
// not have until the read ended.
func (v *versions) unknown(read operation) bool {
	if !v.exact || len(v.ends) == 0 || read.absent {
		return false
	}
	return !v.ordinal[read.version] || read.version > read.end
}

// stale reports whether a read returned a version older than floor.
func (v *versions) stale(read, floor operation) bool {
	if read.unversioned {
		return false
	}
	if !read.absent {
		return read.version < floor.version
	}
	for _, w := range v.absent { // an absence has no version: any absence that may have been current is right
		if w.version >= floor.version && w.begin < read.end {
			return false
		}
	}
	return true
}

// explain returns the violation of c.worst, with its events.
func (c *checker) explain() *ViolationError {
	s := c.worst
	value, _ := c.keys.Load(s.key)
	log := logOf(value)
	log.mu.Lock()
	committed, loaded := slices.Clone(log.writes), log.loads
	log.mu.Unlock()
	violation := &ViolationError{Kind: StaleRead, Key: s.key, Report: c.report}
	if s.read.swept {
		violation.Kind = StaleFill
	}
	if s.by < 0 {
		violation.Kind = ForeignValue
		violation.tell(c, s, nil, nil, nil)
		return violation
	}
	inv := &c.invalidations[s.by]
	floor, _ := newVersions(committed).before(inv.begin)
	violation.tell(c, s, inv, &floor, origin(s.read, floor, loaded))
	return violation
}

// origin returns the load that brought the result of a stale read: the last one with
// that version that began before the newer write committed and ended before the read
// did. It returns nil if there is none.
func origin(read, floor operation, loaded []operation) *operation {
	var found *operation
	for i := range loaded {
		l := &loaded[i]
		same := l.absent == read.absent && (l.absent || l.version == read.version)
		if same && l.end < read.end && l.begin < floor.end && (found == nil || l.begin > found.begin) {
			found = l
		}
	}
	return found
}

// covers describes the part of an invalidation that covers key.
func (i *invalidation) covers(key string) string {
	name := ""
	if slices.Contains(i.keys, key) {
		name = fmt.Sprintf("of %q", key)
	}
	for _, prefix := range i.prefixes {
		if name == "" && strings.HasPrefix(key, prefix) {
			name = fmt.Sprintf("of prefix %q", prefix)
		}
	}
	if more := len(i.keys) + len(i.prefixes) - 1; more > 0 {
		name += fmt.Sprintf(" and %d more", more)
	}
	return name
}
