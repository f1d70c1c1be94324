package readthrough_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
)

// Refresh gets the lease whatever others store meanwhile.
func TestRefreshOfWhatOthersReplace(t *testing.T) {
	onMeddled(t, 0, func(t *testing.T, store *meddled, s *readthrough.CachedScope, _ func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before = func(int64) { store.change(func(s *slot) { s.entry.LoadedAt = s.entry.LoadedAt.Add(1) }) }
		elapsed := took(func() {
			value, err := readthrough.Refresh(t.Context(), s, meddledKey.Name, newSource(2).load)
			want(t, "Refresh", value, err, 2)
		})
		entry, _ := store.peek(meddledKey)
		assert.Equal(t, 2, entry.Value, "what is stored")
		assert.Zero(t, elapsed, "stored at once")
	})
}
