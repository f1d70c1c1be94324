package readthrough

import (
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// storing returns what happens in the store with the outcome of f, and the TTL of an entry that is
// stored, before jitter.
func (f *flight) storing() (storing, time.Duration) {
	o := &f.outcome
	if f.bypass || o.failed() {
		return storeNothing, 0
	}
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	ttl := f.call.ttls.of(&o.entry)
	if d := f.decided; d != nil {
		if d.unstored {
			return storeNothing, 0
		}
		if d.isTTL {
			ttl = d.ttl
		}
	}
	switch {
	case ttl > 0:
		return storeEntry, ttl
	case !f.replaces.IsZero(): // there is an old entry, and a newer outcome
		return removeEntry, 0
	default:
		return storeNothing, 0
	}
}

// isStorable reports whether the outcome of f may be stored, if the fence or the lease agrees.
func isStorable(f *flight) bool {
	what, _ := f.storing()
	return what == storeEntry
}

// hasVainLease reports whether f has a lease under which nothing will be stored. It is given back
// at once.
func hasVainLease(f *flight) bool { return f.lease != nil && !isStorable(f) }

// removeGone removes the entries of those keys under which the source has nothing any more, if the
// scope does not store absences. They would be served on, since a stale time may last for hours.
func (c *call) removeGone(flights []*flight) {
	gone := filter(flights, func(f *flight) bool {
		what, _ := f.storing()
		return what == removeEntry
	})
	if len(gone) == 0 {
		return
	}
	c.remove(gone)
}

// remove removes the entries of flights from the store. That is always safe.
func (c *call) remove(flights []*flight) {
	began := c.scope.sending()
	_, err := c.scope.backend.Delete(&c.values, c.keys(flights), false)
	if c.sent(began, opDelete, flights, err); err != nil {
		c.report(opDelete, keyOf(flights), err)
	}
}

// removeReplaced removes the entries that flights were to replace, after the store has failed to keep
// the new ones: they are known to be out of date, and would be served on. It returns the flights that
// have not replaced anything: the source has confirmed the entry, or there was none. It is not called
// if the store does not answer ([backend.Replied]): a fill must not take longer then.
//
// After a refusal of the value for what it is, the store keeps nothing by itself. But one error may stand
// for several values, and to remove is always safe.
func (c *call) removeReplaced(flights []*flight) (others []*flight) {
	replaces := func(f *flight) bool { return !f.replaces.IsZero() && !f.outcome.extended }
	replaced := filter(flights, replaces)
	if len(replaced) == 0 {
		return flights
	}
	c.remove(replaced)
	return filter(flights, func(f *flight) bool { return !replaces(f) })
}

// ---- the fill of a store without leases

// store asks a store without leases to keep the outcomes of flights, and reports whether the store
// has confirmed that. The caller has the fence's permission (flights.fill). An error does not fail
// the load.
func (c *call) store(flights []*flight) (confirmed bool) {
	began := c.scope.sending()
	var err error
	if len(flights) == 1 {
		item := c.item(flights[0])
		err = c.scope.backend.SetOne(&c.values, &item, c)
	} else {
		items := make([]provider.Item, len(flights))
		for i, f := range flights {
			items[i] = c.item(f)
		}
		err = c.scope.backend.Set(&c.values, items, c)
	}
	if c.sent(began, opSet, flights, err); err != nil {
		c.report(opSet, keyOf(flights), err)
		if backend.Replied(err) {
			c.removeReplaced(flights)
		}
	}
	return err == nil
}

// StoreReturned makes the call a [backend.Filler]: the backend calls it when the store has returned
// from the fill, in time or not.
func (c *call) StoreReturned() { c.scope.flights.storeReturned(c) }

// item returns what is stored for f in a store without leases.
func (c *call) item(f *flight) provider.Item {
	entry, ttl := c.entry(f)
	return provider.Item{Key: c.scope.key(f.key), Entry: entry, TTL: ttl}
}

// entry returns what is stored for f, and for how long the store keeps it. Each call draws its own
// jitter.
func (c *call) entry(f *flight) (entry provider.Entry, storeFor time.Duration) {
	entry = f.outcome.entry
	_, ttl := f.storing()
	storeFor = c.scope.options.stamp(&entry, ttl)
	return entry, storeFor
}

// keys returns the store's keys of flights.
func (c *call) keys(flights []*flight) []provider.Key {
	keys := make([]provider.Key, len(flights))
	for i, f := range flights {
		keys[i] = c.scope.key(f.key)
	}
	return keys
}

// keyOf returns the key of the only flight, or "" if there are more.
func keyOf(flights []*flight) string {
	if len(flights) == 1 {
		return flights[0].key
	}
	return ""
}
