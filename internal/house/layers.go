package main

import (
	"fmt"
	"slices"
	"strings"
)

// plan is what a package is held to.
type plan struct {
	layers []layer // from the API down
	most   bounds
	// readers are the files of the read path, and flights those of the loads under
	// way. The readers should use few names of the flights. A file that is not there
	// counts for nothing, so both may list the files of older trees too.
	readers, flights []string
}

// layer is a floor of the house. Its files may use each other and all below.
type layer struct {
	name  string
	files []string
}

// bounds are the most that is allowed.
type bounds struct{ knot, file, function, complexity int }

// house returns the plan of the root package. To rename or add a file, edit the
// table. A file that is listed and not there does no harm.
func house() *plan {
	return &plan{
		layers: []layer{
			{"API", []string{
				"doc.go", "cache.go", "storeinuse.go", "scope.go", "wrap.go", "wrapmany.go", "memoize.go", "each.go", "family.go", "prefixes.go", "list.go",
				"invalidate.go", "inspect.go", "ping.go", "mutate.go", "put.go", "load.go", "peek.go", "batch.go", "direct.go", "sample.go",
			}},
			{"read", []string{"read.go", "scratch.go"}},
			{"work", []string{"invalidation.go", "retries.go", "shares.go", "call.go", "fill.go", "lease.go", "renew.go"}},
			{"fence", []string{"fence.go"}},
			{"flights", []string{"singleflight.go", "leave.go", "flight.go", "request.go", "keyspace.go", "trips.go", "activity.go"}},
			{"rules", []string{"epoch.go", "pending.go", "freshness.go", "failures.go", "outcome.go"}},
			// What every layer needs: declarations, and helpers without a state.
			{"words", []string{
				"options.go", "errors.go", "result.go", "observer.go", "onerror.go", "logging.go", "stats.go", "samplestats.go",
				"key.go", "targets.go", "value.go", "cause.go", "apart.go", "logtext.go",
			}},
		},
		most: bounds{knot: 5, file: 500, function: 45, complexity: 15},
		// bulk.go, wait.go and loading.go are of the tree before the rebuild.
		readers: []string{"read.go", "wrap.go", "wrapmany.go", "bulk.go"},
		flights: []string{
			"singleflight.go", "flight.go", "request.go", "fence.go", "leave.go", "failures.go", "outcome.go",
			"wait.go", "loading.go",
		},
	}
}

// find returns the number of a file's layer, 1 being the API; 0 if none lists it.
func (p *plan) find(file string) int {
	return 1 + slices.IndexFunc(p.layers, func(l layer) bool { return slices.Contains(l.files, file) })
}

// place returns a file with its layer.
func (p *plan) place(file string) string {
	n := p.find(file)
	if n == 0 {
		return file + " (no layer)"
	}
	return fmt.Sprintf("%s (layer %d, %s)", file, n, p.layers[n-1].name)
}

// unlisted returns the files of t that no layer lists.
func (p *plan) unlisted(t *tree) []string {
	return slices.DeleteFunc(t.names(), func(file string) bool { return p.find(file) > 0 })
}

// upward returns the uses by files of what files of higher layers declare. A file
// without a layer is neither higher nor lower.
func (p *plan) upward(uses []use) []use {
	return slices.DeleteFunc(slices.Clone(uses), func(u use) bool {
		return p.find(u.to) == 0 || p.find(u.from) <= p.find(u.to)
	})
}

// violations says what in t is against the layers: a file without one, a use
// upward, and a knot of two layers. When a file uses one thing several times, only
// the first is said.
func (p *plan) violations(t *tree) (said []string) {
	for _, file := range p.unlisted(t) {
		said = append(said, file+" has no layer: add it to the table in internal/house/layers.go")
	}
	uses, told := t.uses(), make(map[string]bool)
	for _, u := range p.upward(uses) {
		says := fmt.Sprintf("%s uses %s, declared in %s: move it down or pass a value", p.place(u.from), t.name(u.object), p.place(u.to))
		if !told[says] {
			said, told[says] = append(said, fmt.Sprintf("%v: %s", t.set.Position(u.at), says)), true
		}
	}
	for _, knot := range graphOf(uses).knots() {
		if slices.ContainsFunc(knot, func(file string) bool { return p.find(file) != p.find(knot[0]) }) {
			for n, file := range knot {
				knot[n] = p.place(file)
			}
			said = append(said, "a knot of several layers: "+strings.Join(knot, ", ")+" all use each other: take out the uses upward")
		}
	}
	return said
}

// excesses says what in t is beyond the bounds.
func (p *plan) excesses(t *tree) (said []string) {
	bound := func(got, most int, what string) {
		if got > most {
			said = append(said, fmt.Sprintf("%s: %d, of at most %d", what, got, most))
		}
	}
	for _, knot := range graphOf(t.uses()).knots() {
		bound(len(knot), p.most.knot, "files that all use each other, "+strings.Join(knot, ", "))
	}
	for _, file := range t.names() {
		bound(t.lines(file), p.most.file, "lines of "+file)
	}
	for _, f := range t.shapes() {
		bound(f.lines, p.most.function, fmt.Sprintf("%v: lines of %s", f.at, f.name))
		bound(f.complexity, p.most.complexity, fmt.Sprintf("%v: cyclomatic complexity of %s", f.at, f.name))
	}
	return said
}
