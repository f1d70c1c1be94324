package readthrough

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Activity is what is under way in a scope at one moment. [CachedScope.Activity] returns it. The
// names in it are keys of the scope: show them only to those who may see them.
type Activity struct {
	// Loads are the loads and fills under way, the oldest first.
	Loads []ActiveLoad
	// Pending are the keys and prefixes whose invalidation the store has not confirmed, the prefixes
	// first, and each of both sorted by name. The prefix "" stands for the whole scope.
	Pending []PendingTarget
	// PendingSince is since when something is pending, without a break; zero: nothing is.
	PendingSince time.Time

	_ struct{}
}

// ActiveLoad is a load that has not ended, or whose fill has not.
type ActiveLoad struct {
	// Key is the first key of the load, and Count the number of its keys.
	Key   string
	Count int
	// Since is when the load was asked for.
	Since time.Time
	// Waiters is the number of reads that wait for it in this process.
	Waiters int
	// Stage is "waiting" before the load function runs: for a place of MaxLoads, for the store, or for
	// another process. It is "loading" while the load function runs, and "storing" after it.
	Stage string
	// Purpose is "read" if a read began the load, "refresh" if it runs in the background, "replace"
	// for [Refresh], and "put" for [Put].
	Purpose string

	_ struct{}
}

// PendingTarget is a key or a prefix whose invalidation is pending.
type PendingTarget struct {
	Name   string
	Prefix bool
}

// sizes returns the number of flights under way, the number of pending keys and prefixes, and since
// when something is pending.
func (g *flights) sizes() (inFlight, pending int, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size, g.pending.size(), g.since
}

// activity returns what is under way: at most limit loads and at most limit pending targets. It
// looks at all of them under mu, which costs less than a microsecond for each ten.
func (g *flights) activity(limit int) (a Activity) {
	targets := g.collect(&a)
	slices.SortFunc(a.Loads, func(x, y ActiveLoad) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Key, y.Key))
	})
	slices.Sort(targets.Keys)
	slices.Sort(targets.Prefixes)
	for _, prefix := range targets.Prefixes {
		a.Pending = append(a.Pending, PendingTarget{prefix, true})
	}
	for _, key := range targets.Keys {
		a.Pending = append(a.Pending, PendingTarget{key, false})
	}
	a.Loads = a.Loads[:min(limit, len(a.Loads)):min(limit, len(a.Loads))]
	a.Pending = a.Pending[:min(limit, len(a.Pending)):min(limit, len(a.Pending))]
	return a
}

// collect puts the loads into a, unsorted, and returns what is pending.
func (g *flights) collect(a *Activity) (pending Targets) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.PendingSince = g.since
	a.Loads = make([]ActiveLoad, 0, len(g.running))
	for c := range g.running {
		a.Loads = append(a.Loads, ActiveLoad{
			Key: c.flights[0].key, Count: len(c.flights), Since: c.created, Waiters: c.waiters,
			Stage: c.stage.String(), Purpose: c.purpose.String(),
		})
	}
	return g.pending.targets()
}

// String returns the name of the stage in [ActiveLoad].
func (s stage) String() string {
	return [...]string{stageWaiting: "waiting", stageLoading: "loading", stageLoaded: "storing", stageLanded: "landed"}[s]
}

// String returns the name of the purpose in [ActiveLoad].
func (p purpose) String() string {
	return [...]string{toRead: "read", toRefresh: "refresh", toReplace: "replace", toPut: "put"}[p]
}
