package readthrough

import (
	"context"

	"github.com/readthrough/readthrough/provider"
)

// Peek returns the value under key if the store has one that a read would be served at once. It loads nothing
// and waits for no load, and it counts in no statistics of the scope. It is for values that are nice to have,
// and for pages that show what is cached.
//
// ok is false if nothing is stored, if what is stored has ended, if the store fails (which is reported to
// [Options.OnError]), and with a context that bypasses the cache. If the store knows that the source has
// nothing, the error matches [ErrNotFound]. The other errors are those of a bad argument, and [ErrClosed].
//
// Do not look by a load function that returns an error: other readers would join it, and get that error.
func Peek[T any](ctx context.Context, s *CachedScope, key string) (value T, ok bool, err error) {
	if _, err := checkRead[T](ctx, "Peek", s, key, true, nil); err != nil {
		return value, false, err
	}
	return peek[T](ctx, &s.keyspace, key)
}

func peek[T any](ctx context.Context, s *keyspace, key string) (value T, ok bool, err error) {
	if s.isDirect(ctx, key) {
		return value, false, nil
	}
	switch given, is := s.getValue(ctx, key); is {
	case provider.Missing:
		return value, false, nil
	case provider.Present:
		if value, err := valueOf[T](given); err == nil {
			return value, true, nil
		}
	default:
	}
	entry, found := s.get(ctx, key)
	if !found {
		return value, false, nil
	}
	return peekInto[T](ctx, s, key, &entry)
}

// peekInto returns what an entry shows to Peek.
func peekInto[T any](ctx context.Context, s *keyspace, key string, entry *provider.Entry) (value T, ok bool, err error) {
	switch is := s.freshness(entry); {
	case is > stale:
		return value, false, nil
	case entry.Absent:
		return value, false, s.absent
	}
	if value, err = valueOf[T](entry.Value); err != nil {
		s.report(ctx, opGet, key, err)
		return value, false, nil
	}
	return value, true, nil
}

// peekMany is peek for many keys, by one request. each is called for the values that are there.
func peekMany[T any](ctx context.Context, s *keyspace, keys []string, each func(n int, value T)) {
	var asked []int // their positions
	for n, key := range keys {
		if !s.isDirect(ctx, key) && !s.flights.bypasses(key) {
			asked = append(asked, n)
		}
	}
	results := s.getMany(ctx, len(asked), func(i int) string { return keys[asked[i]] }, s.reportGet)
	for i := range results {
		if !results[i].Found {
			continue
		}
		if value, ok, _ := peekInto[T](ctx, s, keys[asked[i]], &results[i].Entry); ok { //nolint:errcheck // an absence has no value
			each(asked[i], value)
		}
	}
}
