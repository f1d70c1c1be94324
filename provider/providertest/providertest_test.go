package providertest

import (
	"testing"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/provider"
)

// references are correct stores, which every case must accept.
func references() map[string]func(*testing.T) provider.CacheProvider {
	return map[string]func(*testing.T) provider.CacheProvider{
		"reference": func(*testing.T) provider.CacheProvider { return newReference() },
		"encoding":  func(*testing.T) provider.CacheProvider { return newEncoding() },
		"plain":     func(*testing.T) provider.CacheProvider { return plain{newReference()} },
	}
}

func TestReferencesPassInABubble(t *testing.T) {
	proofs.Unraced(t, "-run ^TestReferencesPassInABubble$ ./provider/providertest") // those in real time are raced
	for name, newProvider := range references() {
		t.Run(name, func(t *testing.T) { RunSynctest(t, newProvider) })
	}
}

func TestReferencesPassInRealTime(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, name := range []string{"reference", "encoding", "plain"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what takes time is waiting
			Run(t, references()[name])
		})
	}
}
