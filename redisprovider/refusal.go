package redisprovider

import (
	"fmt"
	"slices"
	"strings"

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
		return unquoted(err)
	}
}

// unquoted returns an error of the client without what the server has sent: where the
// client cannot parse an answer, it quotes it, and that may be a part of a value.
func unquoted(err error) error {
	const library = "redis: "
	text := err.Error()
	said, _, quotes := strings.Cut(text, `"`)
	if !quotes || !strings.HasPrefix(text, library) {
		return err
	}
	return &parseError{said + "…", err}
}

// parseError is an error of the client with another text.
type parseError struct {
	text string
	err  error
}

func (e *parseError) Error() string { return e.text }

func (e *parseError) Unwrap() error { return e.err }
