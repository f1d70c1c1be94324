package provider

import "errors"

// ErrUndecodable matches the error of a store for an entry that exists but
// cannot be read: the bytes are no entry, or have an unknown version or codec,
// or hold another type than the reader asks for. The cache treats the entry as a
// miss, reports the error, and overwrites the entry with the loaded value.
var ErrUndecodable = errors.New("provider: undecodable entry")

// ErrTooLarge matches the error of a Set if the store does not keep the entry
// because of its size. The store then keeps nothing under the key. The cache reports the error and serves the value
// uncached. It does not count the error as a failure of the store.
var ErrTooLarge = errors.New("provider: entry too large")

// ErrUnencodable matches the error of a Set if the value cannot be encoded. The
// store then keeps nothing under the key. The cache treats the error like
// [ErrTooLarge].
var ErrUnencodable = errors.New("provider: value cannot be encoded")

// ErrLossy matches the error of a Set if the value would not come back as it was: the
// codec loses a part of it. The store then keeps nothing under the key. The cache
// treats the error like [ErrTooLarge], and reports it once per type. See [Checker].
var ErrLossy = errors.New("provider: value would not come back as it is")

// ErrClosed matches the errors of a store after its Close.
var ErrClosed = errors.New("provider: store closed")
