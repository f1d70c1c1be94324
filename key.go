package readthrough

import (
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/internal/stablekey"
)

// Key returns a key for a filter: family, followed by a stable JSON encoding of v, which is a
// struct, map, slice or scalar. Example: Key("list:", Filter{Status: "open"}) is
// list:{"status":"open"}. Equal filters have equal keys, whatever the order of their map entries.
// Different filters of one type have different keys. Struct fields go by their JSON names.
//
// It returns an error that matches [ErrBadKey] for an empty family, without which no prefix would name
// the keys; for a key longer than [MaxKeyBytes]; and for a v without such an encoding: NaN and
// infinities, channels, functions, cycles.
func Key(family string, v any) (string, error) {
	if family == "" {
		return "", &keyError{errors.New("readthrough: Key: family: must not be empty")}
	}
	return filterKey("Key", family, v)
}

// filterKey returns prefix, followed by the stable encoding of filter. function names the caller in the
// error.
func filterKey(function, prefix string, filter any) (string, error) {
	encoded, err := stablekey.Encode(filter)
	if err != nil {
		return "", &keyError{fmt.Errorf("readthrough: %s: %w", function, err)}
	}
	key := prefix + encoded
	return key, checkKey(function, key)
}
