package memory

import (
	"fmt"
	"math"

	"github.com/readthrough/readthrough/provider"
)

// DefaultMaxEntries is the bound of a store whose options set none.
const DefaultMaxEntries = 100_000

// Options configure a store. The zero value is a store of at most
// [DefaultMaxEntries] entries.
type Options struct {
	// MaxEntries is the most entries that the store holds, such as 100_000. Zero
	// means [DefaultMaxEntries], or no bound on the number if MaxWeight is set.
	// Negative is an error. Expired entries count until they are removed, within
	// about a tenth of a second.
	MaxEntries int

	// MaxWeight is the most that all entries together may weigh, in the unit of
	// Weigher, such as 64<<20 for 64 MiB. Zero means no bound on the weight.
	// Negative is an error, and so is a MaxWeight without a Weigher. If
	// MaxEntries is set too, both bounds hold.
	MaxWeight int64

	// Weigher returns the weight of an entry in any unit, usually bytes, such as the length of its
	// value. nil means that entries have no weight. The store calls it once per entry to store, in the
	// goroutine that stores, never under a lock. Several goroutines may call it at the same time. It
	// must not change the entry, nor use the cache, which waits for it. A weight of zero counts as
	// one, so a bound on the weight also bounds the number of entries. If Weigher returns a negative
	// weight or panics, the call that stores returns an error that matches [ErrWeigher], and the store
	// keeps nothing under the key. Without MaxWeight, weights appear only in statistics and listings.
	Weigher func(key provider.Key, entry provider.Entry) int64

	_ struct{}
}

func (o Options) validate() error {
	if o.MaxEntries < 0 {
		return fmt.Errorf("memory: Options.MaxEntries %d: must not be negative", o.MaxEntries)
	}
	if o.MaxWeight < 0 {
		return fmt.Errorf("memory: Options.MaxWeight %d: must not be negative", o.MaxWeight)
	}
	if o.MaxWeight > 0 && o.Weigher == nil {
		return fmt.Errorf("memory: Options.MaxWeight %d: needs a Weigher, which is nil", o.MaxWeight)
	}
	return nil
}

// bounds returns the effective bounds. math.MaxInt64 means no bound; sums within
// the bounds then cannot overflow.
func (o Options) bounds() (maxEntries, maxWeight int64) {
	maxEntries, maxWeight = int64(o.MaxEntries), o.MaxWeight
	if maxEntries == 0 {
		maxEntries = DefaultMaxEntries
		if maxWeight > 0 {
			maxEntries = math.MaxInt64
		}
	}
	if maxWeight == 0 {
		maxWeight = math.MaxInt64
	}
	return maxEntries, maxWeight
}
