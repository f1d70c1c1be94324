package cachetest

import (
	"io"

	"github.com/readthrough/readthrough/provider"
)

// The cache finds the capabilities of a store by type assertion. A wrapper therefore
// needs one type per set of capabilities: a struct that embeds the interfaces of the
// set and nothing else. These types are in capabilities_gen.go. The test
// TestCapabilitiesAreGenerated writes that file with -update, from the list below.
// It fails if the file is out of date, or if package provider has a capability that
// is not in the list.

// capabilities is a set of capabilities.
type capabilities uint

const (
	hasBatcher capabilities = 1 << iota
	hasLeaser
	hasRefresher
	hasHolder
	hasRenewer
	hasInspector
	hasInProcess
	hasEncoder
	hasCloser
)

// inProcess is provider.InProcess under another name. An embedded provider.InProcess
// would be a field named InProcess, which hides the method of that name.
type inProcess interface{ provider.InProcess }

// capabilitiesOf returns the capabilities of store.
func capabilitiesOf(store provider.CacheProvider) (set capabilities) {
	add := func(c capabilities, has bool) {
		if has {
			set |= c
		}
	}
	_, ok := store.(provider.Batcher)
	add(hasBatcher, ok)
	_, ok = store.(provider.Leaser)
	add(hasLeaser, ok)
	_, ok = store.(provider.Refresher)
	add(hasRefresher, ok)
	_, ok = store.(provider.Holder)
	add(hasHolder, ok)
	_, ok = store.(provider.Renewer)
	add(hasRenewer, ok)
	_, ok = store.(provider.Inspector)
	add(hasInspector, ok)
	_, ok = store.(provider.InProcess)
	add(hasInProcess, ok)
	_, ok = store.(provider.Encoder)
	add(hasEncoder, ok)
	_, ok = store.(io.Closer)
	add(hasCloser, ok)
	return set
}

// The store that Immutable returns has these capabilities always: without them, its methods do what the cache does if a
// store lacks them.
type watchedAlways interface { //nolint:interfacebloat // all that a store may have
	provider.CacheProvider
	provider.Batcher
	provider.Inspector
	provider.Punctual
	provider.Sharded
	io.Closer
}

// inProcessValues are the capabilities of a watched store that is in the process. If it is not, it is a
// provider.NearCache.
type inProcessValues interface {
	provider.InProcess
	provider.ValueGetter
}

// watchedCapabilities is a set of capabilities that a watched store has if the store inside of it has them.
type watchedCapabilities uint

const (
	watchedNear watchedCapabilities = 1 << iota // and is not in the process
	watchedEncoder
	watchedLeaser
	watchedRefresher
	watchedRenewer
	watchedHolder
)

// watchedOf returns the capabilities of store.
func watchedOf(store provider.CacheProvider) (set watchedCapabilities) {
	add := func(c watchedCapabilities, has bool) {
		if has {
			set |= c
		}
	}
	_, ok := store.(provider.InProcess)
	add(watchedNear, !ok)
	_, ok = store.(provider.Encoder)
	add(watchedEncoder, ok)
	_, ok = store.(provider.Leaser)
	add(watchedLeaser, ok)
	_, ok = store.(provider.Refresher)
	add(watchedRefresher, ok)
	_, ok = store.(provider.Renewer)
	add(watchedRenewer, ok)
	_, ok = store.(provider.Holder)
	add(watchedHolder, ok)
	return set
}
