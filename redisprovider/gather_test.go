package redisprovider_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestManyReaders reads from many goroutines at once: each gets what is under its
// own key, whoever else it shares a round trip with.
func TestManyReaders(t *testing.T) {
	t.Parallel()
	for _, fence := range []bool{false, true} {
		t.Run(fmt.Sprint("fence=", fence), func(t *testing.T) {
			t.Parallel()
			client := newServerClient(t, redistest.StartReal(t, redistest.Options{}).Addr())
			p := newProvider(t, client, redisprovider.Options{FenceByServer: fence})
			keys := numbered("s", 60)
			for i, k := range keys[:40] {
				mustSet(t, p, k, fmt.Sprint("value ", i))
			}
			for _, k := range keys[40:50] {
				require.NoError(t, client.Set(t.Context(), p.KeyOf(k), "no frame", 0).Err())
			}
			var readers errgroup.Group
			for reader := range 100 {
				readers.Go(func() error {
					for n := range 30 {
						if err := readOwn(t, p, keys, (reader*7+n)%len(keys)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			assert.NoError(t, readers.Wait())
		})
	}
}

// readOwn reads key i, under which there is its value, something else, or nothing.
func readOwn(t *testing.T, p *redisprovider.Provider, keys []provider.Key, i int) error {
	t.Helper()
	entry, found, err := p.Get(t.Context(), keys[i])
	var got string
	if found {
		if err := entry.Value.(provider.Encoded).Decode(&got); err != nil {
			return err
		}
	}
	switch {
	case i < 40 && (err != nil || got != fmt.Sprint("value ", i)),
		i >= 40 && i < 50 && (found || !errors.Is(err, provider.ErrUndecodable)),
		i >= 50 && (found || err != nil):
		return fmt.Errorf("key %d: %q, %v, %w", i, got, found, err)
	}
	return nil
}
