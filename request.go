package readthrough

import "time"

// request is what a reader asks of the flights. It belongs to the goroutine of the reader.
type request struct {
	// items are the keys without an answer. Each round of the read leaves fewer.
	items   []item
	purpose purpose // toRead or toReplace
	stored  uint64  // flights.stored before the reader last asked the store
	// began is when the reader joined for the first time; 0: not yet. It is not moved by later
	// rounds, so that the second flight is always young enough. To take it at the join and not in
	// Wrap is stricter, and a hit needs no clock.
	began seq
	// own is the last call that the read has made; nil: none.
	own *call
}

// item is a key of a read that has no answer yet.
type item struct {
	key    string
	index  int     // the position of the key in the caller's ids
	flight *flight // what the reader waits for
	// late: the reader may not take the outcome of flight, because it began too late. markLate sets
	// it.
	late bool
	// alone: the read loads the key for itself, past the store and all other flights: the load that it
	// has joined brought a value of another type, or one for another reader only.
	alone bool
	// replaces is the stored entry that is to be replaced; nil: none.
	replaces *replaced
}

// replaced is a stored entry that is to be replaced. It is apart from the item, because few items
// have one, and a bulk read has many items.
type replaced struct {
	loadedAt time.Time // Entry.LoadedAt; zero: a later look has not found the entry
	// fallback is a stale value, which is served if the load fails or takes long. It was in the store
	// after the read had begun, so no invalidation from before that had removed it.
	fallback    any
	absent      bool // fallback is an absence
	hasFallback bool
}

// replace records that the item is to replace an entry from loadedAt. It keeps the fallback.
func (i *item) replace(loadedAt time.Time) {
	if i.replaces == nil {
		i.replaces = new(replaced)
	}
	i.replaces.loadedAt = loadedAt
}

// hasFallback reports whether there is a stale value for the item.
func (i *item) hasFallback() bool { return i.replaces != nil && i.replaces.hasFallback }

// joined is what join returns: what a reader that missed waits for.
type joined struct {
	calls  []*call  // those of the items' flights, each once
	own    *call    // the one among them that the reader has to start; nil: none
	others int      // the number of flights of other calls
	reader *call    // the call in whose load function the reader is; nil: none
	failed []failed // the items that are not loaded, because their last load failed
	// gone are the calls that the reader has left, with the reasons; nil: it has left none.
	gone map[*call]error
}
