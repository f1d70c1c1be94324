package otelcache_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/inspect"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/otelcache"
)

// BenchmarkHit and BenchmarkMiss compare a cache that is looked at in all ways with one that is not: metrics, spans
// (of one trace in a hundred), samples (of one read in a thousand) and the page. A miss loads for 100 µs.
// Run them in turn, since a machine has faster and slower minutes:
//
//	go test -c -o bench . && for i in 1 2 3 4 5 6; do ./bench -test.run '^$' -test.bench . -test.benchtime 0.5s; done | benchstat -col /watched -
func BenchmarkHit(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run("watched="+strconv.FormatBool(watched), func(b *testing.B) {
			users := watchedFamily(b, watched, 0)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := users.Get(b.Context(), 7); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMiss(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run("watched="+strconv.FormatBool(watched), func(b *testing.B) {
			users := watchedFamily(b, watched, 100*time.Microsecond)
			b.ReportAllocs()
			for id := 0; b.Loop(); id++ {
				if _, err := users.Get(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// watchedFamily returns a family in memory, whose loads take so long.
func watchedFamily(b *testing.B, watched bool, load time.Duration) *readthrough.Family[int, int] {
	b.Helper()
	store, err := memory.New(memory.Options{MaxEntries: 10_000})
	require.NoError(b, err)
	var options readthrough.Options
	scopeOptions := readthrough.ScopeOptions{TTL: time.Hour}
	var telemetry *otelcache.Telemetry
	if watched {
		telemetry, err = otelcache.New(otelcache.Options{
			MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)))),
		})
		require.NoError(b, err)
		options.Observer, scopeOptions.SampleOneIn = telemetry.Observer(), 1000
	}
	cache, err := readthrough.New(store, options)
	require.NoError(b, err)
	b.Cleanup(func() { _ = cache.Close() })
	if watched {
		_, err = telemetry.Register(cache)
		require.NoError(b, err)
		page, err := inspect.New(cache, inspect.Options{})
		require.NoError(b, err)
		b.Cleanup(func() { _ = page.Close() })
	}
	scope, err := cache.Scope("users", scopeOptions)
	require.NoError(b, err)
	users, err := readthrough.NewFamily(scope, "user:", readthrough.Loads[int, int]{One: func(_ context.Context, id int) (int, error) {
		for began := time.Now(); time.Since(began) < load; { // a timer is too coarse
		}
		return id, nil
	}})
	require.NoError(b, err)
	return users
}
