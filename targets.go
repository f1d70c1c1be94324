package readthrough

import (
	"fmt"
	"slices"
	"strings"
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
type Targets struct {
	// Keys are single keys. Example: "maintenance:42".
	Keys []string
	// Prefixes stand for all keys that begin with one of them. The empty prefix stands for the
	// whole scope. Example: "list:".
	Prefixes []string
}

// size returns the number of keys and prefixes.
func (t Targets) size() int { return len(t.Keys) + len(t.Prefixes) }

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

// validate returns the error of a bad key or prefix.
func (t Targets) validate() error {
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

// with returns the targets of both.
func (t Targets) with(other Targets) Targets {
	return Targets{
		Keys:     slices.Concat(t.Keys, other.Keys),
		Prefixes: slices.Concat(t.Prefixes, other.Prefixes),
	}
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
