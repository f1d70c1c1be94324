package readthrough

import (
	"context"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/readthrough/readthrough/provider"
)

// Memoize returns load behind the cache: a function of the same shape that does what [Wrap] does,
// with the key that key returns for the id. Wrap a repository method once, where the repository is
// made, and call the result:
//
//	getMaintenance := readthrough.Memoize(scope, maintenanceKey, repo.Get)
//
// The function is safe for concurrent use, if key and load are. A bad argument of Memoize is an
// error of every call of the function.
func Memoize[ID, T any](s *CachedScope, key func(ID) string, load func(context.Context, ID) (T, error), options ...CallOption) func(context.Context, ID) (T, error) {
	ttls, bad := checkReads[T](s, key != nil, load != nil, options)
	return func(ctx context.Context, id ID) (T, error) {
		if bad != nil {
			var none T
			return none, bad
		}
		k := key(id)
		if err := s.checkKey(ctx, k); err != nil {
			var none T
			return none, err
		}
		value, look := quick[T](ctx, &s.keyspace, k)
		if look.is == provider.Present {
			return value, nil
		}
		return readID(ctx, &s.keyspace, k, id, load, ttls, look)
	}
}

// readID is readKey for a load function that takes an id. It is apart from Memoize so that a hit
// allocates neither the id nor the closure.
func readID[ID, T any](ctx context.Context, s *keyspace, key string, id ID, load func(context.Context, ID) (T, error), ttls ttls, l look) (T, error) {
	return readKey(ctx, s, key, func(ctx context.Context) (T, error) { return load(ctx, id) }, ttls, l)
}

// MemoizeMany is [Memoize] for a load function of many ids. It returns a function of the same shape
// that does what [WrapMany] does.
func MemoizeMany[ID comparable, T any](s *CachedScope, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) func(context.Context, []ID) (map[ID]T, error) {
	options = slices.Clone(options)
	return func(ctx context.Context, ids []ID) (map[ID]T, error) {
		return WrapMany(ctx, s, ids, key, load, options...)
	}
}

// MemoizeAppend is [Memoize] with a function that appends the key to a buffer, as those of package
// [strconv] do. A hit in a store with [provider.ValueGetter], such as memory, then allocates no
// string:
//
//	getMaintenance := readthrough.MemoizeAppend(scope, func(b []byte, id int64) []byte {
//		return strconv.AppendInt(append(b, "maintenance:"...), id, 10)
//	}, repo.Get)
//
// appendKey must not keep the buffer, which is used again.
func MemoizeAppend[ID, T any](s *CachedScope, appendKey func(b []byte, id ID) []byte, load func(context.Context, ID) (T, error), options ...CallOption) func(context.Context, ID) (T, error) {
	ttls, bad := checkReads[T](s, appendKey != nil, load != nil, options)
	var buffers sync.Pool // of *buffer
	return func(ctx context.Context, id ID) (T, error) {
		var none T
		if bad != nil {
			return none, bad
		}
		b, ok := buffers.Get().(*buffer)
		if !ok {
			b = new(buffer)
			b.key = b.room[:0]
		}
		b.key = appendKey(b.key[:0], id)
		// This string is the buffer. Nobody has it after the calls that get it: the store may not keep it,
		// and others that might keep it get a copy.
		k := unsafe.String(unsafe.SliceData(b.key), len(b.key))
		if s.observer.Hit != nil {
			k = strings.Clone(k)
		}
		if err := s.checkKey(ctx, k); err != nil {
			return none, err
		}
		value, look := quick[T](ctx, &s.keyspace, k)
		if look.is == provider.Present {
			buffers.Put(b)
			return value, nil
		}
		k = string(b.key)
		buffers.Put(b)
		return readID(ctx, &s.keyspace, k, id, load, ttls, look)
	}
}

// buffer is the memory in which a key is made. Most keys fit into its room. A buffer fills two
// cache lines, so that processors that make keys at the same time do not write to the same line.
type buffer struct {
	key  []byte
	room [104]byte
}
