package provider

import "errors"

// ErrUndecodable matches the error for an entry that is there but cannot be
// read: bytes that are no entry, of an unknown version or codec, or not of the
// type that the reader asks for. The cache takes it for a miss, reports it, and
// overwrites the entry with what it loads.
var ErrUndecodable = errors.New("provider: undecodable entry")

// ErrTooLarge matches the error of a Set whose entry the store will not keep
// because of its size. The cache reports it, serves the value uncached, and does
// not take it for a failure of the store.
var ErrTooLarge = errors.New("provider: entry too large")

// ErrUnencodable matches the error of a Set whose value cannot be encoded. The
// store then keeps nothing under the key. The cache treats it as [ErrTooLarge].
var ErrUnencodable = errors.New("provider: value cannot be encoded")

// ErrClosed matches the errors of a store that was closed.
var ErrClosed = errors.New("provider: store closed")
