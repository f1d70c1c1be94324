package redisprovider_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
	"github.com/readthrough/readthrough/redisprovider"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	runConformance(t, newServerClient(t, s.Addr()))
}

func TestConformanceWithContextTimeouts(t *testing.T) {
	t.Parallel()
	proofs.Require(t, "the conformance suite, for clients with deadlines", "-run ^TestConformanceWithContextTimeouts$ ./redisprovider")
	proofs.Unraced(t, "-run ^TestConformanceWithContextTimeouts$ ./redisprovider")
	s := redistest.Start(t, redistest.Options{})
	runConformance(t, newServerClient(t, s.Addr(), func(o *redis.Options) { o.ContextTimeoutEnabled = true }))
}

func TestConformanceOnCluster(t *testing.T) {
	t.Parallel()
	proofs.Require(t, "the conformance suite, on a cluster", "-run ^TestConformanceOnCluster$ ./redisprovider")
	proofs.Unraced(t, "-run ^TestConformanceOnCluster$ ./redisprovider")
	runConformance(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})))
}

// TestConformanceOnImitation makes sure that the store can be tested without a
// server.
func TestConformanceOnImitation(t *testing.T) {
	t.Parallel()
	if redistest.Installed() { // without one, TestConformance is this
		proofs.Require(t, "the conformance suite, on the imitation of a server", "-run ^TestConformanceOnImitation$ ./redisprovider")
	}
	proofs.Unraced(t, "-run ^TestConformanceOnImitation$ ./redisprovider") // it has an interpreter of scripts
	providertest.Run(t, func(t *testing.T) provider.CacheProvider {
		t.Helper()
		s := redistest.StartImitation(t)
		patient := func(o *redis.Options) { o.ReadTimeout = time.Minute } // it reads a script whenever it runs it
		return newProvider(t, newServerClient(t, s.Addr(), patient), redisprovider.Options{})
	})
}

// TestSharedConformance checks what processes tell each other.
func TestSharedConformance(t *testing.T) {
	t.Parallel()
	runShared(t, newServerClient(t, redistest.StartReal(t, redistest.Options{}).Addr()))
}

func TestSharedConformanceOnCluster(t *testing.T) {
	t.Parallel()
	runShared(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})))
}

func runShared(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	providertest.RunShared(t, func(t *testing.T) (one, other provider.CacheProvider) {
		t.Helper()
		options := redisprovider.Options{KeyPrefix: freshPrefix()}
		return newProvider(t, client, options), newProvider(t, client, options)
	})
}

// runConformance runs the suite with a prefix of its own for each store, so that
// the stores share a server and nothing else.
func runConformance(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	providertest.Run(t, func(t *testing.T) provider.CacheProvider {
		t.Helper()
		return newProvider(t, client, redisprovider.Options{KeyPrefix: freshPrefix()})
	})
}
