// Package nearflag is the flag -near of the examples: whether a process keeps a part of what is in Redis in
// its own memory, and what an invalidation by another process means for that.
package nearflag

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// Mode is the value of the flag. The zero value is no near cache. It implements [flag.Value].
type Mode string

// The modes; see docs/near.md.
const (
	Off Mode = ""
	// Bounded may read an entry that another process has invalidated for the time of one message, and after
	// a second never.
	Bounded Mode = "bounded"
	// Strict never reads it once the invalidation has returned.
	Strict Mode = "strict"
)

var _ flag.Value = (*Mode)(nil)

// Window returns how long after an invalidation by another process this one may still read what was
// invalidated, at most.
func (m *Mode) Window() time.Duration {
	if *m == Bounded {
		return near.DefaultWindow
	}
	return 0
}

// String implements [flag.Value].
func (m *Mode) String() string { return string(*m) }

// Set implements [flag.Value].
func (m *Mode) Set(text string) error {
	switch mode := Mode(text); mode {
	case Bounded, Strict:
		*m = mode
		return nil
	default:
		return fmt.Errorf("must be %s or %s", Bounded, Strict)
	}
}

// Define defines the flag -near, which sets m.
func Define(flags *flag.FlagSet, m *Mode) {
	flags.Var(m, "near", "keep entries of Redis in the memory of this process, too; `mode` is bounded or strict (default: only in Redis)")
}

// Check returns an error that says what to do if the flag is given and there is no shared store.
func (m *Mode) Check(shared bool) error {
	if *m != Off && !shared {
		return errors.New("-near " + string(*m) + ": needs a cache that processes share, such as -redis redis://localhost:6379/0; a cache in memory is near already")
	}
	return nil
}

// Open returns memory in front of far, or nil if the flag is not given. far then belongs to it.
func (m *Mode) Open(far provider.CacheProvider) (*near.Store, error) {
	if *m == Off {
		return nil, nil //nolint:nilnil // there is none
	}
	store, err := near.New(far, near.Options{Strict: *m == Strict})
	if err != nil {
		return nil, fmt.Errorf("-near %s: %w", *m, err)
	}
	return store, nil
}
