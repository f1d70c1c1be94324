package readthrough

// Every answer to two questions stands in this file: may a result be stored, and may a reader take
// it? epoch.go has the rules and the argument; here they are applied, under flights.mu.
//
//	                         stored?                            taken?
//	store of one process     fill: the epoch has not ended      readers that joined in the epoch
//	store with leases        fillLeased: the store decides,     markLate: readers that began before
//	                         by the lease                       validBefore
//	a put                    fillPut, or fillLeased             nobody joins
//
// What the store decides, by the lease, is in provider.Leaser, and for Redis in
// redisprovider/fill.lua.

// bind says that the store is about to be asked for flights: only readers that began before now may
// take what it has.
func (g *flights) bind(flights []*flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock++
	for _, f := range flights {
		f.validBefore = g.clock
	}
}

// load says that the loads of flights, which are of c, begin. With leases, only readers that began
// before now may take what they bring. It returns false if everybody has left c.
func (g *flights) load(c *call, flights []*flight, leases bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !c.abandoned {
		c.stage = max(c.stage, stageLoading)
	}
	g.clock++
	for _, f := range flights {
		f.began = g.clock
		if leases {
			f.validBefore = g.clock
		}
	}
	return !c.abandoned
}

// fill decides which of candidates, flights of c whose outcomes are known, are stored. The caller
// stores those, and then lands. With last, the outcomes of all flights are final.
func (g *flights) fill(c *call, candidates []*flight, last bool) (store []*flight, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loadedLocked(c, last)
	store = filter(candidates, func(f *flight) (ok bool) {
		f.fence, ok = f.fence.fill()
		return ok
	})
	g.fillingLocked(c, len(store) > 0)
	if !c.abandoned {
		refused = len(candidates) - len(store)
	}
	return store, refused
}

// fillLeased decides which of candidates are stored under their leases. A flight whose epoch has ended
// is stored too: the store knows whether its lease was acquired before the removal or after it, and
// refuses the fill if it was before. But nothing is stored while an invalidation of its key is
// pending.
//
// Nobody joins these flights any more. Readers that began before sent may take what a confirmed fill
// has stored.
func (g *flights) fillLeased(c *call, candidates []*flight, last bool) (store, rest []*flight, sent seq) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loadedLocked(c, last)
	g.clock++ // a reader that joins from now on begins later
	for _, f := range candidates {
		g.endLocked(f)
		if g.closed || c.abandoned || g.pending.covers(f.key) {
			rest = append(rest, f)
		} else {
			store = append(store, f)
		}
	}
	return store, rest, g.clock
}

// confirmed says that the store has confirmed the fills of flights, which were sent at sent.
func (g *flights) confirmed(flights []*flight, sent seq) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range flights {
		f.validBefore = sent
	}
}

// fillPut decides whether the value of f, a put's, is stored, and ends the epochs of all other flights
// of its key. The value is not stored if an invalidation came since the put began, or if one of the
// others is storing its own value.
func (g *flights) fillPut(f *flight) (store bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.endOthersLocked(f) {
		return false
	}
	f.fence, store = f.fence.fill()
	g.fillingLocked(f.call, store)
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

// loadedLocked says that outcomes of c are final; with last, all of them.
func (*flights) loadedLocked(c *call, last bool) {
	if last {
		c.stage = max(c.stage, stageLoaded)
	}
}

// fillingLocked says that the store is about to be asked to keep results of c, if any.
func (g *flights) fillingLocked(c *call, any bool) {
	switch {
	case !any:
	case g.inProcess:
		c.fill = fillReturned // always, when somebody asks
	default:
		c.fill = fillSent
	}
}

// markLate marks the items of r whose outcomes the reader may not take, since it began too late, and
// those that have no outcome. Every reader may take an error. gone are the calls that the reader has
// left.
func (g *flights) markLate(r *request, gone map[*call]error) {
	if len(r.items) > 1 || !r.items[0].flight.call.final.Load() { // what is final can be read without the lock
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	for n := range r.items {
		i := &r.items[n]
		f := i.flight
		i.late = gone[f.call] == nil && !(f.outcome.known && f.mayTake(r))
	}
}

// mayTake reports whether the reader of r may take the outcome of f.
func (f *flight) mayTake(r *request) bool {
	if r.purpose == toReplace && r.began >= f.began { // it wants a load that began after it did
		return false
	}
	return mayTake(r.began, f.validBefore) || f.outcome.failed()
}
