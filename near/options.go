package near

import (
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// Defaults and limits of [Options].
const (
	// DefaultWindow is the default of [Options.Window].
	DefaultWindow = time.Second
	// DefaultTTL is the default of [Options.TTL].
	DefaultTTL = time.Minute
	// MinWindow is the shortest [Options.Window].
	MinWindow = provider.MinWindow
)

// Options configure a [Store]. The zero value is useful.
type Options struct {
	// Strict lets an invalidation, by any process, wait until this process has dropped the entry, or
	// may no longer answer from its memory. No read of any process is then ever stale, as without a
	// near cache. Without it, an invalidation waits for nobody, and Window bounds how long this
	// process may still read an entry that another process has invalidated. The invalidations of this
	// process itself are exact in both modes. Example: true.
	Strict bool

	// Window is how long after an invalidation by another process this process may still read the old
	// entry from its memory, at most, whatever happens to the network. Normally the entry is gone
	// after one message. A shorter window means more heartbeats: four in a window. Zero means 1 s;
	// less than 20 ms and negative values are errors, and so is a window together with Strict.
	// Example: 200 * time.Millisecond.
	Window time.Duration

	// TTL is the longest time that an entry stays in the memory. It is never longer there than in the
	// far store. Entries that the far store loses without an invalidation, by an eviction or by hand,
	// live on in the memory until then. Zero means a minute; negative is an error. Example:
	// 10 * time.Second.
	TTL time.Duration

	// MaxEntries, MaxWeight and Weigher bound the memory; see [memory.Options]. The weigher sees the
	// decoded values. Zero means the default of MaxEntries there, and no weight. Example: 50_000.
	MaxEntries int
	MaxWeight  int64
	Weigher    func(key provider.Key, entry provider.Entry) int64

	_ struct{}
}

// withDefaults returns a copy with the defaults, or an error that names every field with a bad value.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	refuse := func(when bool, field string, value any, problem string) {
		if when {
			errs = append(errs, fmt.Errorf("near: Options.%s: %v: %s", field, value, problem))
		}
	}
	refuse(o.Window < 0, "Window", o.Window, "must not be negative")
	refuse(o.Strict && o.Window > 0, "Window", o.Window, "has no meaning with Strict: there is no time in which a read may be stale")
	refuse(!o.Strict && o.Window > 0 && o.Window < MinWindow, "Window", o.Window, fmt.Sprintf("must be at least %v, or 0 for the default", MinWindow))
	refuse(o.TTL < 0, "TTL", o.TTL, "must not be negative")
	if o.Window == 0 && !o.Strict {
		o.Window = DefaultWindow
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	return o, errors.Join(errs...)
}

// memoryOptions returns the options of the memory.
func (s *Store) memoryOptions(o *Options) memory.Options {
	options := memory.Options{MaxEntries: o.MaxEntries, MaxWeight: o.MaxWeight}
	if o.Weigher != nil {
		options.Weigher = func(provider.Key, provider.Entry) int64 { return s.weight }
	}
	return options
}
