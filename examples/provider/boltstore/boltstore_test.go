package boltstore

import (
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "cache.bolt"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The suite that every store has to pass.
func TestConformance(t *testing.T) {
	providertest.RunSynctest(t, func(t *testing.T) provider.CacheProvider { return open(t) })
}

// What has expired goes, though nobody asks for it: the file does not grow with
// the keys ever seen.
func TestExpiredEntriesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		for i := range 1000 {
			key := provider.Key{Scope: "s", Name: strconv.Itoa(i)}
			require.NoError(t, s.Set(t.Context(), key, provider.Entry{Value: i}, time.Minute))
			time.Sleep(time.Second)
		}
		for _, bucket := range [][]byte{entries, expiries} {
			var n int
			_ = s.db.View(func(tx *bbolt.Tx) error { n = tx.Bucket(bucket).Stats().KeyN; return nil })
			assert.Equal(t, 60, n, "keys in %s after 1000 entries, of which 60 are live", bucket)
		}
	})
}

// A new process does not find what the last one left.
func TestOpenEmpties(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.bolt")
	key := provider.Key{Scope: "s", Name: "k"}
	for range 2 {
		s, err := Open(path)
		require.NoError(t, err)
		_, found, err := s.Get(t.Context(), key)
		assert.NoError(t, err, "a new store")
		assert.False(t, found, "a new store")
		require.NoError(t, s.Set(t.Context(), key, provider.Entry{Value: 1}, time.Hour))
		require.NoError(t, s.Close())
	}
}
