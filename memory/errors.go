package memory

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/readthrough/readthrough/provider"
)

// ErrWeigher matches the error of a call that stores an entry if
// [Options.Weigher] panicked or returned a negative weight for it. The store
// then keeps nothing under the key of that entry.
var ErrWeigher = errors.New("memory: Weigher failed")

var errClosed = fmt.Errorf("memory: %w", provider.ErrClosed)

// weigherError is a panic of the weigher. Its value may have a part of the entry, so it
// is not logged: it is a [slog.LogValuer], which the cache asks.
type weigherError struct{ value any }

func (e *weigherError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// LogValue returns the type of the value.
func (e *weigherError) LogValue() slog.Value {
	return slog.StringValue(fmt.Sprintf("panic: a %T", e.value))
}
