package boltstore

import (
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "cache.bolt"))
	if err != nil {
		t.Fatal(err)
	}
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
			if err := s.Set(t.Context(), key, provider.Entry{Value: i}, time.Minute); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		for _, bucket := range [][]byte{entries, expiries} {
			var n int
			_ = s.db.View(func(tx *bbolt.Tx) error { n = tx.Bucket(bucket).Stats().KeyN; return nil })
			if n != 60 {
				t.Errorf("%d keys in %s after 1000 entries, of which 60 are live", n, bucket)
			}
		}
	})
}

// A new process does not find what the last one left.
func TestOpenEmpties(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.bolt")
	key := provider.Key{Scope: "s", Name: "k"}
	for range 2 {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, found, err := s.Get(t.Context(), key); found || err != nil {
			t.Errorf("a new store: found %v, %v", found, err)
		}
		if err := s.Set(t.Context(), key, provider.Entry{Value: 1}, time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
