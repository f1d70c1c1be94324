package readthrough

import (
	"fmt"
	"slices"
	"strings"

	"github.com/readthrough/readthrough/provider"
)

// checkKey returns an error if key is empty or too long. what names it in the error.
func checkKey(what, key string) error {
	if key == "" || len(key) > MaxKeyBytes {
		return badKey(what, key)
	}
	return nil
}

// badKey is apart from checkKey, so that the compiler inlines checkKey, which is on the path of
// every hit.
func badKey(what, key string) error {
	if key == "" {
		return &keyError{fmt.Errorf("readthrough: %s: must not be empty", what)}
	}
	return &keyError{fmt.Errorf("readthrough: %s: %d bytes: must not be longer than %d", what, len(key), MaxKeyBytes)}
}

// Targets are what an invalidation covers. The zero value covers nothing.
//
// Those of [Family.Of], [Family.All], [List.Of], [CachedScope.Of] and their kin name their scope, and can be
// joined with those of other scopes by And. Those that are written as a literal belong to the scope of the
// call.
type Targets struct {
	// Keys are single keys. Example: "maintenance:42".
	Keys []string
	// Prefixes stand for all keys that begin with one of them. The empty prefix stands for the
	// whole scope. Example: "list:".
	Prefixes []string

	// in is the scope that is named, a *keyspace; nil: the scope of the call. It is an any, because this
	// file is below the scopes. more are targets of any scope, and err is why the targets make no sense.
	in   any
	more []Targets
	err  error

	// keys are Keys as the store knows them, if somebody has made them already; nil: nobody has.
	keys []provider.Key
}

// And returns the targets of t and of all others, each in its scope. Example:
//
//	users.Of(42).And(lists.All())
func (t Targets) And(others ...Targets) Targets {
	if len(others) > 0 {
		t.more = slices.Concat(t.more, others)
	}
	return t
}

// size returns the number of keys and prefixes.
func (t Targets) size() int { return len(t.Keys) + len(t.Prefixes) }

// total is size with the targets of other scopes.
func (t Targets) total() int {
	n := t.size()
	for _, other := range t.more {
		n += other.total()
	}
	return n
}

// covering returns a function that reports whether t covers a key. Its cost does not depend on the
// number of keys in t.
func (t Targets) covering() func(key string) bool {
	keys := make(map[string]struct{}, len(t.Keys))
	for _, key := range t.Keys {
		keys[key] = struct{}{}
	}
	return func(key string) bool {
		_, ok := keys[key]
		return ok || t.coverByPrefix(key)
	}
}

// coverByPrefix reports whether key begins with a prefix of t.
func (t Targets) coverByPrefix(key string) bool {
	for _, prefix := range t.Prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// validate returns the error of a bad key or prefix of t, without those that And has added.
func (t Targets) validate() error {
	if t.err != nil {
		return t.err
	}
	for _, key := range t.Keys {
		if err := checkKey("key", key); err != nil {
			return err
		}
	}
	for _, prefix := range t.Prefixes {
		if len(prefix) > MaxKeyBytes {
			return badKey("prefix", prefix)
		}
	}
	return nil
}

// without returns the keys and prefixes of t that other lacks.
func (t Targets) without(other Targets) Targets {
	if other.size() == 0 {
		return t
	}
	return Targets{Keys: lacking(t.Keys, other.Keys), Prefixes: lacking(t.Prefixes, other.Prefixes)}
}

// lacking returns the names that others lack.
func lacking(names, others []string) []string {
	if len(others) == 0 {
		return names
	}
	out := make(map[string]struct{}, len(others))
	for _, name := range others {
		out[name] = struct{}{}
	}
	var rest []string
	for _, name := range names {
		if _, ok := out[name]; !ok {
			rest = append(rest, name)
		}
	}
	return rest
}

// single returns the key or prefix that t consists of, or "" if there are more.
func (t Targets) single() string {
	switch {
	case t.size() != 1:
		return ""
	case len(t.Keys) == 1:
		return t.Keys[0]
	default:
		return t.Prefixes[0]
	}
}

// chunks splits t into parts of at most size keys or one prefix.
func (t Targets) chunks(size int) []Targets {
	var parts []Targets
	for keys := t.Keys; len(keys) > 0; {
		n := min(size, len(keys))
		parts = append(parts, Targets{Keys: keys[:n:n]})
		keys = keys[n:]
	}
	for i := range t.Prefixes {
		parts = append(parts, Targets{Prefixes: t.Prefixes[i : i+1 : i+1]})
	}
	return parts
}
