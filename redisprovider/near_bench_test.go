package redisprovider_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// BenchmarkNearInvalidation measures what near caches add to an invalidation: the time by the number of members,
// and what the server is asked for. The members are clients in this process, so their work is in the numbers.
//
//	go test -run '^$' -bench NearInvalidation ./redisprovider
func BenchmarkNearInvalidation(b *testing.B) {
	for _, strict := range []bool{false, true} {
		for _, members := range []int{0, 1, 2, 3, 10, 30, 100} {
			b.Run(fmt.Sprintf("strict %v, %d others", strict, members), func(b *testing.B) {
				s := redistest.StartReal(b, redistest.Options{})
				options := redisprovider.Options{NearLease: 5 * time.Second}
				for range members {
					far, err := redisprovider.New(newServerClient(b, s.Addr()), options)
					require.NoError(b, err)
					store, err := near.New(far, near.Options{Strict: strict})
					require.NoError(b, err)
					b.Cleanup(func() { _ = store.Close() })
					require.Eventually(b, func() bool { return store.NearStats().Membership.Valid }, proofs.Patience(), time.Millisecond)
				}
				p := newProvider(b, newServerClient(b, s.Addr()), options)
				require.NoError(b, p.Delete(b.Context(), key("s", "k"))) // the epoch is older than a lease after it
				s.ResetStats()
				var took []time.Duration
				for b.Loop() {
					began := time.Now()
					if err := p.Delete(b.Context(), provider.Key{Scope: "s", Name: "k"}); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
				}
				commands := int64(0)
				for name, n := range s.CommandStats() {
					if name == "EVALSHA" || name == "UNLINK" {
						commands += int64(n)
					}
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
				b.ReportMetric(float64(commands)/float64(b.N), "commands/op")
			})
		}
	}
}
