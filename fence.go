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
// redisprovider/lua/fill.lua.

// bind is called before the store is asked for flights. Only readers that began before this moment
// may take what the store has. The order matters, because another process may invalidate while the
// answer is under way:
//
//  1. The store sends the old value to this call.
//  2. Another process changes the source and invalidates. Its call returns.
//  3. A reader of this process begins, misses and joins the flight.
//  4. The answer arrives.
//
// If the bound were taken after step 4, the reader would be allowed to take the old value. bind
// took it before step 1, so the reader began too late for it, and reads again.
func (g *flights) bind(flights []*flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock++
	for _, f := range flights {
		f.validBefore = g.clock
	}
}

// load is called before the load function is run for flights, which are of c. From here on the
// source is read: an invalidation that returned before this line cannot be missed. With leases,
// other processes invalidate too, so only readers that began before this moment may take what is
// loaded. Without leases, only the invalidations of this process count (G3). They end the epochs,
// and every reader that can join may take the result. But while the source lags, it changes without an
// invalidation: when it has caught up, a reader must not get what was read before.
//
// It returns false if all readers have left c. The load function is not run then.
func (g *flights) load(c *call, flights []*flight, leases bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !c.abandoned {
		c.stage = max(c.stage, stageLoading)
	}
	g.clock++
	for _, f := range flights {
		f.began = g.clock
		if leases || f.lags {
			f.validBefore = g.clock
		}
	}
	return !c.abandoned
}

// fill decides which of candidates may be stored, in a store without leases. They are flights of c
// whose outcomes are known. With last, the outcomes of all flights of c are final. The caller asks
// the store to keep those that fill returns, and then lands.
//
// To decide and to note that the flight is filling is one critical section. So for each
// invalidation of the key there are two cases, and no third:
//
//   - It has ended the epoch before. The flight is refused.
//   - It comes later. Then it finds the flight filling, waits until the store has returned, and
//     removes the entry after that.
//
// The results of an abandoned call are refused, but not counted as refused: nobody has invalidated
// them.
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

// fillLeased decides which of candidates are sent to a store with leases. All of them have a lease.
// The caller fills those of store, and gives back the leases of rest.
//
// A flight whose epoch has ended is sent, too. This process cannot know whether the removal of the
// invalidation reached the store before the lease was granted or after it. The store knows:
//
//   - The lease is older than the removal. The removal has destroyed it, and the store refuses the
//     fill.
//   - The lease is younger. Then the load began after the removal, so its value is right, and to
//     drop it would cost another load.
//
// To drop the flight silently would be worse than either. Its lease would stay, and other processes
// would wait for it until it ends.
//
// Nothing is sent in three cases. While an invalidation of the key is pending, its removal may not
// have reached the store, so an old lease may still be alive. After Close, and for an abandoned
// call, nobody wants the value.
//
// The epochs of all candidates end here, so that nobody joins them any more. Otherwise a reader
// could join while the answer to the fill is under way, and wait for a result that it may not take.
// Readers that began before sent may take what a confirmed fill has stored.
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

// confirmed moves the bound of flights up to sent, when their fills were sent. The store has
// confirmed that each key held its lease from before the load until the fill. So no invalidation of
// any process came in between, and the value was right until the fill was sent. Readers that joined
// during the load need no second round.
//
// A refused fill, or one without an answer, proves nothing: the bound stays where the load began.
func (g *flights) confirmed(flights []*flight, sent seq) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range flights {
		f.validBefore = sent
	}
}

// fillPut decides whether the value of f, the flight of a put, is stored in a store without leases.
// It ends the epochs of all other flights of the key, in the same critical section: they may have
// loaded the value from before the write.
//
// The value is not stored if an invalidation came since the put began, or if another flight of the
// key is filling. Two fills under way may reach the store in either order, and the older value
// could stay. The put then invalidates, which waits for that fill.
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

// endOthers ends the epochs of all flights of the key of f, except f.
func (g *flights) endOthers(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endOthersLocked(f)
}

// endOthersLocked is endOthers. filling reports whether one of them fills.
func (g *flights) endOthersLocked(f *flight) (filling bool) {
	delete(g.ending, f.key)
	g.eachLocked(Targets{Keys: []string{f.key}}, func(other *flight) {
		if other != f && g.endLocked(other) {
			filling = true
		}
	})
	return filling
}

// loadedLocked records that outcomes of c are final; with last, those of all flights. From then on
// a reader that leaves takes the outcome (leave).
func (*flights) loadedLocked(c *call, last bool) {
	if last {
		c.stage = max(c.stage, stageLoaded)
	}
}

// fillingLocked records that the store is about to be asked to keep results of c. any is false if
// there are none.
func (g *flights) fillingLocked(c *call, any bool) {
	switch {
	case !any:
	case g.inProcess:
		c.fill = fillReturned // always, when somebody asks
	default:
		c.fill = fillSent
	}
}

// markLate marks the items of r whose outcomes the reader may not take, because it began too late,
// and those whose flights have no outcome. The reader reads these keys again. gone are the calls
// that the reader has left; their items have an error instead.
//
// A reader that has waited until a call is final reads its outcome without the lock. validBefore
// and began are final then, too: confirmed is called before the call lands. A reader of several
// keys takes the lock once, since some of its calls may not have landed: a reader whose context has
// ended leaves them at stageLoaded.
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
//
// Every reader may take an error, however late it began. An error is not a stale value, and a
// failed load must cost its readers one load, not one each (G8). Refresh is the exception: it wants
// a load that began after it did, and an error of an older load says nothing about that.
func (f *flight) mayTake(r *request) bool {
	if r.purpose == toReplace && r.began >= f.began && f.call != r.own { // it wants a load that began after it did
		return false
	}
	if (f.outcome.failed() || f.outcome.entry.Absent) && f.call.wasLeft() {
		return false // because it was cancelled: that error, or a result that is not whole
	}
	if f.outcome.failed() {
		return true
	}
	return mayTake(r.began, f.validBefore)
}
