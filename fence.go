package readthrough

// fillPut decides whether the value of f, a put's, is stored, and ends the epochs
// of all other flights of its key. The value is not stored if an invalidation
// came since the put began, or if one of the others is storing its own.
func (g *flights) fillPut(f *flight) (store bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.call.loaded = true
	if g.endOthersLocked(f) {
		return false
	}
	f.fence, store = f.fence.fill()
	f.call.asked = store
	return store
}

// endOthers ends the epochs of all flights of the key of f but f.
func (g *flights) endOthers(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endOthersLocked(f)
}

func (g *flights) endOthersLocked(f *flight) (filling bool) {
	g.eachLocked(Targets{Keys: []string{f.key}}, func(other *flight) {
		if other != f && g.endLocked(other) {
			filling = true
		}
	})
	return filling
}

// bind bounds what flights bring: only readers that began before now may take
// it.
func (g *flights) bind(flights []*flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	for _, f := range flights {
		f.bound = g.now
	}
}

// load says that the loads of flights, which are of c, begin. With leases, that
// bounds what they bring. It returns false if everybody has left c before that.
func (g *flights) load(c *call, flights []*flight, leases bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.begun = c.begun || !c.abandoned
	g.now++
	for _, f := range flights {
		f.began = g.now
		if leases {
			f.bound = g.now
		}
	}
	return !c.abandoned
}

// fill decides which of candidates, flights of c whose outcomes are known, are
// stored. The caller stores those, calls answered when the store has returned,
// and then lands, if it did not say last. With last, the outcomes of all flights
// are final.
func (g *flights) fill(c *call, candidates []*flight, last bool) (store []*flight, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.loaded = c.loaded || last
	store = filter(candidates, func(f *flight) (ok bool) {
		f.fence, ok = f.fence.fill()
		return ok
	})
	c.asked = c.asked || len(store) > 0
	if !c.abandoned {
		refused = len(candidates) - len(store)
	}
	return store, refused
}

// fillLeased decides which of candidates are stored under their leases: unlike
// without leases, those too whose epoch has ended, since the store decides, which
// knows whether the lease was acquired before the deletion or after it. But
// nothing is stored that has a pending invalidation.
//
// From now on nobody joins these flights. A confirmed fill may be taken by who
// began before the moment that is returned.
func (g *flights) fillLeased(c *call, candidates []*flight, last bool) (store, rest []*flight, sent moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.loaded = c.loaded || last
	g.now++ // nothing but the order matters: who boards from now on begins later
	for _, f := range candidates {
		g.endLocked(f)
		if g.closed || c.abandoned || g.pending.covers(f.key) {
			rest = append(rest, f)
		} else {
			store = append(store, f)
		}
	}
	return store, rest, g.now
}

// confirmed says that the fills of flights, sent at the moment sent, were
// confirmed.
func (g *flights) confirmed(flights []*flight, sent moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range flights {
		f.bound = sent
	}
}

// markLate marks the items of r whose outcomes it may not take, since it began too
// late, and those without one. Errors may be taken by all. Calls that the reader has
// left are gone.
func (g *flights) markLate(r *request, gone map[*call]error) {
	if len(r.items) > 1 || !r.items[0].flight.call.final.Load() { // what is final can be read without the lock
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	for n := range r.items {
		i := &r.items[n]
		f := i.flight
		i.late = gone[f.call] == nil && !(f.outcome.known && f.mayTake(r.began, r.purpose == toReplace))
	}
}

// mayTake reports whether a reader that began at the moment began may take the
// outcome.
func (f *flight) mayTake(began moment, loaded bool) bool {
	if loaded && began >= f.began {
		return false
	}
	return mayTake(began, f.bound) || f.outcome.err != nil && !f.outcome.entry.Absent
}
