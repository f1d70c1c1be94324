package cachetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Report says what a history has. Its numbers count keys: a bulk read of ten keys
// is ten reads.
type Report struct {
	// Keys is the number of different keys.
	Keys int
	// Reads is the number of reads that were checked, Absent those among them that
	// found nothing, and Swept those of [Source.Sweep] that found something stored.
	Reads, Absent, Swept int
	// Bound is the number of reads that began after an invalidation of their key
	// had returned, of a key that was written before it: those that could have been
	// stale. A history without them proves nothing.
	Bound int
	// Loads, Writes and Invalidations count the others; the first version of a key
	// is no write. Pending are the invalidations that returned an error which
	// matches readthrough.ErrInvalidationPending.
	Loads, Writes, Invalidations, Pending int
	// Failed is the number of operations that returned another error, and were not
	// checked.
	Failed int
	// Dropped is the number of operations past [Options.MaxOperations]. They were not
	// checked, which hides violations and makes none.
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
// [*ViolationError] with the smallest counterexample. It may be called at any time, also
// while the test goes on. A million operations take about a second.
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

// checker is one run of Check.
//
// For a read R of key k in version v, let I be the invalidation that began last
// among those that cover k, bind R's process and had returned before R began. The
// newest version of k that had committed before I began is at least as new as with
// any other of them. R is stale if v is older than that. So for each target it is
// enough to know, for a place in the order, the latest begin among the
// invalidations that had returned: a search in a sorted list, whatever the number
// of invalidations.
type checker struct {
	*record

	processes     []string
	invalidations []invalidation
	byKey         map[string]*target
	byPrefix      map[string]*target
	lengths       []int // of the prefixes, each once
	report        Report
	worst         *suspect
}

// target are the invalidations of a key or prefix: those that bind everybody, and
// those that bind their own process.
type target struct {
	all spans
	own map[int32]spans
}

// spans are invalidations in the order of their ends.
type spans []span

type span struct {
	end    int64
	latest int // the one that began last among all up to here: its index
}

// suspect is a read that broke a guarantee.
type suspect struct {
	key  string
	read operation
	by   int // the invalidation
	span int64
}

// index sorts the invalidations by what they cover.
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

// bind adds invalidation i to a target.
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

// extend adds invalidation i, which ends after all in s.
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

// binding returns the invalidation that began last among those of targets that had
// returned before a read; -1 if there is none.
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
	done, committed, loaded := log.reads, slices.Clone(log.writes), len(log.loads) // what is appended later is not seen
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

// suspect counts a violation, and keeps the one that takes least time.
func (c *checker) suspect(s suspect) {
	c.report.Violations++
	w := c.worst
	if w == nil || s.span < w.span || s.span == w.span && s.read.begin < w.read.begin {
		c.worst = &s
	}
}

// versions are the writes of a key.
type versions struct {
	ends    []operation // by the place at which they had committed at the latest
	newest  []operation // newest[i] is the one with the highest version up to ends[i]
	absent  []operation // the absences among them, by version
	exact   bool        // every version is known, with its place
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

// written returns the number of versions that were written: in an exact history
// all but the first.
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

// unknown reports whether a read returned a version that its key has never had, or
// not until then.
func (v *versions) unknown(read operation) bool {
	if !v.exact || len(v.ends) == 0 || read.absent {
		return false
	}
	return !v.ordinal[read.version] || read.version > read.end
}

// stale reports whether a read that may return floor and what is newer returned
// something older.
func (v *versions) stale(read, floor operation) bool {
	if read.unversioned {
		return false
	}
	if !read.absent {
		return read.version < floor.version
	}
	for _, w := range v.absent { // an absence has no version: any will do that was there
		if w.version >= floor.version && w.begin < read.end {
			return false
		}
	}
	return true
}

// explain returns the violation of the suspect, with what proves it.
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

// origin returns the load that brought what a stale read returned: the last one that
// returned that version before the read did; nil if it is not known.
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

// covers returns how an invalidation names what covers key.
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
