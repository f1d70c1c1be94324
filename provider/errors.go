package provider

import "errors"

// ErrUndecodable matches the error of a store for an entry that exists but
// cannot be read: the bytes are no entry, or have an unknown version or codec,
// or hold another type than the reader asks for. The cache treats the entry as a
// miss, reports the error, and overwrites the entry with the loaded value.
var ErrUndecodable = errors.New("provider: undecodable entry")

// ErrTooLarge matches the error of a Set if the store does not keep the entry because of its size.
// The store then keeps nothing under the key. The cache reports the error and serves the value
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

// ErrRefused matches the error of a request that a server refuses to carry out although
// it is well: its memory is full, its disk cannot be written, it has too few replicas, or
// the user lacks a permission. The cache reports the error, goes on to read from the
// store, and after some refusals in a row does not fill for a while. It does not count the
// error as a failure of the store.
var ErrRefused = errors.New("provider: refused by the server")

// ErrReadOnly matches the error of a server that is a replica, or has become one: it
// takes no writes, and does not have the removals that others have made since. The cache
// does not read from the store until a write has succeeded.
var ErrReadOnly = errors.New("provider: the server is a replica")

// ErrClosed matches the errors of a store after its Close.
var ErrClosed = errors.New("provider: store closed")

// ErrUnacknowledged matches the error of a removal that the store has carried out, while another
// process may still answer from its near cache: it has not said that it dropped the entry, and its
// lease has not ended. The cache keeps the invalidation pending and tries again. It does not count the
// error as a failure of the store.
var ErrUnacknowledged = errors.New("provider: another process may still have it in its memory")
