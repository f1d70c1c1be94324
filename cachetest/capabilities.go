package cachetest

import (
	"io"

	"github.com/readthrough/readthrough/provider"
)

// The cache finds the capabilities of a store by type assertion, so a wrapper
// needs a type for each set of them: a struct that embeds the interfaces of the
// set and nothing else. capabilities_gen.go has these types; the test
// TestCapabilitiesAreGenerated writes it with -update, from the list below, and
// fails where it is out of date or provider has a capability that the list lacks.

// capabilities is a set of capabilities.
type capabilities uint

const (
	hasBatcher capabilities = 1 << iota
	hasLeaser
	hasRefresher
	hasHolder
	hasInspector
	hasInProcess
	hasCloser
)

// inProcess is provider.InProcess under a name that is not that of its method, which
// would hide it where it is embedded.
type inProcess interface{ provider.InProcess }

// capabilitiesOf returns those of store.
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
	_, ok = store.(provider.Inspector)
	add(hasInspector, ok)
	_, ok = store.(provider.InProcess)
	add(hasInProcess, ok)
	_, ok = store.(io.Closer)
	add(hasCloser, ok)
	return set
}
