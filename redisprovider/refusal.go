package redisprovider

import (
	"fmt"
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// isRefusal reports whether a server that is well says that it does not carry out a
// request: its memory is full, its last snapshot failed, it has too few replicas, or the
// user lacks a permission
// (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
func isRefusal(err error) bool {
	words := []string{"OOM ", "MISCONF ", "NOREPLICAS ", "NOPERM "}
	return slices.ContainsFunc(words, func(word string) bool { return serverSays(err, word) })
}

// told returns an error of the client so that the cache can tell a refusal from a
// failure: it also matches [provider.ErrRefused], or [provider.ErrReadOnly] if the server
// is a replica.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case serverSays(err, "READONLY "):
		return fmt.Errorf("%w: %w", provider.ErrReadOnly, err)
	case isRefusal(err):
		return fmt.Errorf("%w: %w", provider.ErrRefused, err)
	default:
		return err
	}
}
