package redisprovider

import (
	"encoding/binary"

	"github.com/readthrough/readthrough/provider"
)

// The text of what was removed is a sequence of: 'k' for a key or 'p' for a prefix, and its scope and its
// name, each behind its length as a varint.

func encodeRemoved(removed *provider.Removed) string {
	size := 0
	for _, keys := range [][]provider.Key{removed.Keys, removed.Prefixes} {
		for _, key := range keys {
			size += 1 + 2*binary.MaxVarintLen32 + len(key.Scope) + len(key.Name) //nolint:mnd // two lengths
		}
	}
	text := make([]byte, 0, size)
	add := func(kind byte, keys []provider.Key) {
		for _, key := range keys {
			text = append(text, kind)
			text = binary.AppendUvarint(text, uint64(len(key.Scope)))
			text = append(text, key.Scope...)
			text = binary.AppendUvarint(text, uint64(len(key.Name)))
			text = append(text, key.Name...)
		}
	}
	add('k', removed.Keys)
	add('p', removed.Prefixes)
	return string(text)
}

func decodeRemoved(text string) (removed provider.Removed, err error) {
	rest := []byte(text)
	field := func() (string, bool) {
		n, length := binary.Uvarint(rest)
		if length <= 0 || n > uint64(len(rest)-length) {
			return "", false
		}
		value := string(rest[length : length+int(n)]) //nolint:gosec // at most len(rest)
		rest = rest[length+int(n):]                   //nolint:gosec // as above
		return value, true
	}
	for len(rest) > 0 {
		kind := rest[0]
		rest = rest[1:]
		scope, ok := field()
		name, alsoOK := field()
		switch {
		case !ok || !alsoOK:
			return removed, errMessage
		case kind == 'k':
			removed.Keys = append(removed.Keys, provider.Key{Scope: scope, Name: name})
		case kind == 'p':
			removed.Prefixes = append(removed.Prefixes, provider.Key{Scope: scope, Name: name})
		default:
			return removed, errMessage
		}
	}
	return removed, nil
}
