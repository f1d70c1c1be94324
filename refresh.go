package readthrough

import "context"

// Refresh loads the value under key now, whatever is stored, and stores it: after
// a change of the source that nobody announced, or to have a value before the
// first read. It returns what was loaded by a load that began after Refresh did:
// this one, or one that others began meanwhile.
//
// What is stored is served to others until the new value replaces it, and stays if
// the load fails; Refresh then returns the error, without a stale value. A store
// with leases that is no provider.Refresher cannot do that: there it is removed
// first. An invalidation that comes while it loads wins, as for [Wrap], of which all
// else holds too.
func Refresh[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (T, error) {
	lives, err := checkRead(ctx, s, key, load != nil, options)
	if err != nil {
		var none T
		return none, err
	}
	r := newRead(s, key, s.flights.stored.Load(), load, lives)
	r.loaded = true
	result, err := r.miss(ctx)
	return result.Value, err
}
