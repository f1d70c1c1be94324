package memory

import (
	"fmt"
	"math"

	"github.com/readthrough/readthrough/provider"
)

// DefaultMaxEntries bounds a store whose options name no bound.
const DefaultMaxEntries = 100_000

// Options configure a store. The zero value is a store of at most
// [DefaultMaxEntries] entries.
type Options struct {
	// MaxEntries is the most entries that the store holds. Zero means
	// [DefaultMaxEntries], or no bound of this kind if MaxWeight is set.
	// Negative is an error. Expired entries count until they are removed, which
	// is within about a tenth of a second.
	MaxEntries int

	// MaxWeight is the most that the entries together may weigh, in the unit of
	// Weigher. Zero means no bound of this kind. Negative is an error, and so is
	// a MaxWeight without a Weigher. If MaxEntries is set as well, both bounds
	// hold.
	MaxWeight int64

	// Weigher returns what an entry weighs, in any unit, often bytes. It is
	// called once for each entry to be stored, by the goroutine that stores it,
	// never under a lock, and may be called by many at once. It must not change
	// the entry. Zero counts as one, so that a bound by weight bounds the number
	// of entries too. If it returns a negative weight or panics, the call that
	// stores fails with an error that matches [ErrWeigher] and nothing is kept
	// under the key. nil means that entries have no weight. Without MaxWeight
	// the weights serve only statistics and listings.
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

// bounds returns the effective bounds. math.MaxInt64 stands for none, so that
// sums within the bounds cannot overflow.
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
