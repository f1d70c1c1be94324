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
