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
// It returns an error for an empty family, without which no prefix would name the keys; for a key
// longer than [MaxKeyBytes]; and for a v without such an encoding: NaN and infinities, channels,
// functions, cycles.
func Key(family string, v any) (string, error) {
	if family == "" {
		return "", errors.New("readthrough: Key: family: must not be empty")
	}
	encoded, err := stablekey.Encode(v)
	if err != nil {
		return "", fmt.Errorf("readthrough: Key: %w", err)
	}
	key := family + encoded
	if err := checkKey("Key", key); err != nil {
		return "", err
	}
	return key, nil
}
