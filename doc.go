// Package readthrough is a read-through cache that is put around the repository methods that a
// service already has.
//
//	store, err := memory.New(memory.Options{})
//	cache, err := readthrough.New(store, readthrough.Options{})
//	scope, err := cache.Scope("maintenance", readthrough.ScopeOptions{TTL: 15 * time.Second})
//
//	getMaintenance := readthrough.Memoize(scope, maintenanceKey, repo.Get)
//
// or say once how an entity is loaded, one by one and in bulk, and how its keys are made ([NewFamily]):
//
//	users, err := readthrough.NewFamily(scope, "user:", readthrough.Loads[int64, *User]{One: repo.Get, Many: repo.GetMany})
//	user, err := users.Get(ctx, 42)
//
// A read is then answered from the store. A key that is not stored is loaded once, however many
// readers ask for it, and bulk reads are cached for each entity ([WrapMany]).
//
// Every change of the source is followed by an invalidation, which is waited for. Only then may
// anybody hear of the change: write, invalidate, emit. [Mutate] keeps that order.
//
//	err = scope.Invalidate(ctx, "maintenance:42", "system:7")
//
// The store is memory, redisprovider, or one of your own (package provider). README.md has a program
// of twenty lines, docs/options.md every option, and docs/glossary.md the words.
//
// # Guarantees
//
// The numbers are the same in the code and on all pages. "After an invalidation" means: begun after
// the call that invalidated the key has returned nil. A fill is the storing of what a load returned.
//
// G1, no stale read: a read that begins after an invalidation never gets a value that was loaded
// before the invalidation began. This holds for single and bulk reads, for values in the store, for
// loads under way, and for stale values that an option serves.
//
// G2, no stale fill: such a value is not in the store after the invalidation, and is not stored
// later, however slow its load or its message is.
//
// G3, for whom G1 and G2 hold: with the memory store, for every goroutine of the process. With a
// store that has leases, such as redisprovider, for every process that shares it; docs/consistency.md
// says what is left under which fault. With another store that processes share, for each process
// with its own invalidations only: a process that loads while another one invalidates may store the
// old value, for at most the TTL.
//
// G4, reads survive the cache: a store that fails, hangs, or returns bytes that cannot be decoded
// never fails a read. The load answers, and the error is reported ([Options.OnError]). After some
// failures in a row a breaker opens, so an outage does not cost a timeout for each read.
//
// G5, no invalidation is lost quietly: if the store does not confirm an invalidation, the call
// returns [ErrInvalidationPending], and the cache retries. Until the store confirms, this process
// neither reads nor fills these keys through the store.
//
// G6, one load: a process runs at most one load of a key at a time, unless an invalidation comes
// during the load. Single and bulk reads share it. With leases, other processes wait briefly for it.
//
// G7, a load belongs to its key: it has the values of the first reader's context, not its
// cancellation. Each reader waits on its own context, and when the last one has left, the load is
// cancelled, unless the scope has [ScopeOptions.FinishLoads]. A result that is there wins over a context that has ended.
//
// G8, outcomes are whole: a value, an error, a panic and a Goexit of a load reach every reader that
// waits for it. No reader hangs, and a failed load costs all of them one load.
//
// G9, bounded: nothing grows with the number of keys ever seen. There is state only for keys in
// flight, for the entries that the store keeps, and for a limited number of failures and pending
// invalidations. [Cache.Close] ends every goroutine of the cache.
//
// G10, bad input: a bad argument or option is an error that names the problem, before anything
// happens.
//
// Not promised is anything about writers that do not invalidate, about load functions that read from
// a replica which lags (but see [ScopeOptions.ReplicaLag]), and about a Redis that loses deletions
// that it has confirmed (but see redisprovider.Options.FenceByServer). Clocks are used for TTLs only,
// never to order events.
//
// # Where to read on
//
// The package has layers, and no file uses a layer above its own; internal/house has the table, and
// a test that enforces it. docs/architecture.md draws them, and says which file to open for which
// change. To understand the guarantees, read in this order:
//
//	epoch.go         the rule that G1 and G2 rest on, and its argument
//	fence.go         where the rule is applied: may it be stored, may it be taken?
//	flight.go        what a call and a flight are, and their states
//	singleflight.go  who loads what, and who waits; how a call lands
//	invalidation.go  the steps of an invalidation, and the retries
//	lease.go         the same for a store that processes share
//	read.go          what a read does with all of this
package readthrough
