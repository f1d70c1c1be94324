package readthrough

import (
	"context"
	"strings"
	"sync"
	"unsafe"

	"github.com/readthrough/readthrough/provider"
)

// MemoizeAppend is [Memoize] with a function that appends the key to a buffer, as
// those of package [strconv] do, so that a hit in a store with
// [provider.ValueGetter], such as memory, makes no string:
//
//	getMaintenance := readthrough.MemoizeAppend(scope, func(b []byte, id int64) []byte {
//		return strconv.AppendInt(append(b, "maintenance:"...), id, 10)
//	}, repo.Get)
//
// appendKey must not keep the buffer, which is used again.
func MemoizeAppend[ID, T any](s *CachedScope, appendKey func(b []byte, id ID) []byte, load func(context.Context, ID) (T, error), options ...CallOption) func(context.Context, ID) (T, error) {
	lives, bad := checkReads(s, appendKey != nil, load != nil, options)
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
		// This string is the buffer. Nobody has it after the calls that get it: the store
		// may not keep it, and who else might gets a copy.
		k := unsafe.String(unsafe.SliceData(b.key), len(b.key))
		if s.cache.observer != nil {
			k = strings.Clone(k)
		}
		if err := s.checkKey(ctx, k); err != nil {
			return none, err
		}
		stored := s.flights.stored.Load()
		value, is := quick[T](ctx, s, k)
		if is == provider.Present {
			buffers.Put(b)
			return value, nil
		}
		k = string(b.key)
		buffers.Put(b)
		var entry provider.Entry
		value, hit, found, err := lookUp[T](ctx, s, k, is, &entry)
		if hit {
			return value, err
		}
		return answerOf(ctx, s, k, stored, id, load, lives, &entry, found)
	}
}

// buffer is where a key is made. Most keys have room in it, so that processors which
// make keys at the same time do not write to the same cache lines, of which it fills two.
type buffer struct {
	key  []byte
	room [104]byte
}
