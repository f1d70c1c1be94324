package backend

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
)

// tardyStore says that it is punctual, and takes its time.
type tardyStore struct {
	provider.CacheProvider

	takes time.Duration
}

func (*tardyStore) Punctual() bool { return true }

func (s *tardyStore) Get(context.Context, provider.Key) (provider.Entry, bool, error) {
	time.Sleep(s.takes)
	return provider.Entry{}, false, nil
}

// TestStoreThatIsNotPunctual: a store that returns much too late is found out by its first request, which
// waits. The others do not. One that is a little late stays what it says that it is.
func TestStoreThatIsNotPunctual(t *testing.T) {
	for _, c := range []struct{ takes, then time.Duration }{{time.Second, 50 * time.Millisecond}, {150 * time.Millisecond, 150 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			b := New(&tardyStore{provider.Null(), c.takes}, Config{ReadTimeout: 50 * time.Millisecond})
			for i := range 3 {
				began, want := time.Now(), c.then
				if i == 0 {
					want = c.takes
				}
				_, _, _ = b.Get(t.Context(), provider.Key{})
				assert.Equal(t, want, time.Since(began), "read %d of a store that takes %v", i, c.takes)
			}
			time.Sleep(c.takes) // until the requests that were left have ended
		})
	}
}
