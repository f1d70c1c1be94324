package redisprovider

import (
	"fmt"
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// refusals are the words by which a server that is well says that it does not carry out
// a request (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors):
// its memory is full, its last snapshot failed, it has too few replicas, or the user
// lacks a permission.
var refusals = []string{"OOM ", "MISCONF ", "NOREPLICAS ", "NOPERM "}

// told returns an error of the client so that the cache can tell a refusal from a
// failure: it also matches [provider.ErrRefused], or [provider.ErrReadOnly] if the server
// is a replica.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case serverSays(err, "READONLY "):
		return fmt.Errorf("%w: %w", provider.ErrReadOnly, err)
	case slices.ContainsFunc(refusals, func(word string) bool { return serverSays(err, word) }):
		return fmt.Errorf("%w: %w", provider.ErrRefused, err)
	default:
		return err
	}
}
