package readthrough

import (
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/internal/stablekey"
)

// Key returns a key for a filter: family, such as "list:", followed by a stable
// JSON encoding of v, a struct, map, slice or scalar. Equal filters have equal
// keys, whatever the order of their map entries, and different filters of a type
// have different keys. Struct fields go by their JSON names.
//
// What has no such encoding is an error: NaN and infinities, channels,
// functions, cycles. So is a key longer than [MaxKeyBytes], and an empty family,
// without which no prefix would name the keys.
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
