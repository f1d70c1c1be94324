package memory

import (
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// ErrWeigher matches the error of a call that stores an entry if
// [Options.Weigher] panicked or returned a negative weight for it. The store
// then keeps nothing under the key of that entry.
var ErrWeigher = errors.New("memory: Weigher failed")

var errClosed = fmt.Errorf("memory: %w", provider.ErrClosed)
