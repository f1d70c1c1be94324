package otelcache_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/otelcache"
	"github.com/readthrough/readthrough/provider"
)

// errAway is what a store returns that is away.
var errAway = errors.New("away")

// remote is a store outside of the process that can be away.
type remote struct {
	provider.CacheProvider
	provider.Inspector

	away atomic.Bool
}

func (r *remote) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if r.away.Load() {
		return provider.Entry{}, false, errAway
	}
	return r.CacheProvider.Get(ctx, key)
}

func (r *remote) Delete(ctx context.Context, keys ...provider.Key) error {
	if r.away.Load() {
		return errAway
	}
	return r.CacheProvider.Delete(ctx, keys...)
}

// rig is a cache with its telemetry, in memory.
type rig struct {
	t      *testing.T
	store  *remote
	scope  *readthrough.CachedScope
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
	tracer trace.Tracer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	inner, err := memory.New(memory.Options{})
	require.NoError(t, err)
	r := &rig{t: t, store: &remote{CacheProvider: inner, Inspector: inner}, reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	r.tracer = tracers.Tracer("test")
	telemetry, err := otelcache.New(otelcache.Options{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)),
		TracerProvider: tracers,
		Attributes:     []attribute.KeyValue{attribute.String("cache", "c")},
	})
	require.NoError(t, err)
	cache, err := readthrough.New(r.store, readthrough.Options{Observer: telemetry.Observer(), OnError: func(*readthrough.OpError) {}, BreakerCooldown: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close(); _ = inner.Close() })
	unregister, err := telemetry.Register(cache)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unregister()) })
	r.scope, err = cache.Scope("users", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	return r
}

func (r *rig) read(ctx context.Context, key string, err error) {
	r.t.Helper()
	_, got := readthrough.Wrap(ctx, r.scope, key, func(context.Context) (int, error) { return 1, err })
	assert.ErrorIs(r.t, got, err)
}

// collect returns the metrics by name.
func (r *rig) collect() map[string]metricdata.Aggregation {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(r.t, r.reader.Collect(r.t.Context(), &all))
	metrics := make(map[string]metricdata.Aggregation)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			metrics[m.Name] = m.Data
		}
	}
	return metrics
}

// value returns a sum or a gauge with all of the attributes "name=value", and 0 if there is none.
func value(t *testing.T, data metricdata.Aggregation, attributes ...string) (v int64) {
	t.Helper()
	var points []metricdata.DataPoint[int64]
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		points = d.DataPoints
	case metricdata.Gauge[int64]:
		points = d.DataPoints
	default:
		require.Fail(t, "no such metric", "%T", data)
	}
	for _, p := range points {
		if has(p.Attributes, attributes) {
			v += p.Value
		}
	}
	return v
}

func has(set attribute.Set, attributes []string) bool {
	all := make(map[string]bool)
	for _, kv := range set.ToSlice() {
		all[string(kv.Key)+"="+kv.Value.String()] = true
	}
	for _, a := range append(attributes, "cache=c") {
		if !all[a] {
			return false
		}
	}
	return true
}

// TestMetrics: each figure says what has happened.
func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.read(ctx, "a", nil)
	r.read(ctx, "a", nil)
	r.read(ctx, "a", nil)
	r.read(ctx, "b", io.ErrUnexpectedEOF)
	require.NoError(t, r.scope.Invalidate(ctx, "a", "b"))
	r.read(ctx, "c", nil)
	require.Eventually(t, func() bool { // a load is told of after its reader was woken
		d, _ := r.collect()["readthrough.load.duration"].(metricdata.Histogram[float64])
		var n uint64
		for _, p := range d.DataPoints {
			n += p.Count
		}
		return n == 3
	}, time.Minute, time.Millisecond)
	m := r.collect()
	users := "readthrough.scope=users"
	assert.EqualValues(t, 2, value(t, m["readthrough.reads"], users, "readthrough.result=hit"))
	assert.EqualValues(t, 3, value(t, m["readthrough.reads"], users, "readthrough.result=miss"))
	assert.EqualValues(t, 2, value(t, m["readthrough.invalidations"], users))
	assert.EqualValues(t, 1, value(t, m["readthrough.store.entry.count"]))
	assert.EqualValues(t, 1, value(t, m["readthrough.store.breaker"], "readthrough.state=closed"))
	assert.EqualValues(t, 0, value(t, m["readthrough.store.breaker"], "readthrough.state=open"))
	failed := 0
	for _, p := range m["readthrough.load.duration"].(metricdata.Histogram[float64]).DataPoints {
		if has(p.Attributes, []string{users, "error.type=_OTHER", "readthrough.refresh=false"}) {
			failed++
			assert.EqualValues(t, 1, p.Count, "loads that failed")
		}
	}
	assert.Equal(t, 1, failed)

	r.store.away.Store(true)
	require.ErrorIs(t, r.scope.Invalidate(ctx, "c"), readthrough.ErrInvalidationPending)
	for range 5 {
		r.read(ctx, "d", io.ErrUnexpectedEOF)
	}
	m = r.collect()
	assert.EqualValues(t, 1, value(t, m["readthrough.store.breaker"], "readthrough.state=open"))
	assert.EqualValues(t, 1, value(t, m["readthrough.store.breaker.opens"]))
	assert.EqualValues(t, 1, value(t, m["readthrough.invalidation.pending"], users))
	assert.Positive(t, m["readthrough.invalidation.pending_age"].(metricdata.Gauge[float64]).DataPoints[0].Value)
	assert.Positive(t, value(t, m["readthrough.errors"], users, "readthrough.operation=get"))
	assert.Positive(t, value(t, m["readthrough.errors"], users, "readthrough.operation=delete"))
	assert.NotContains(t, m, "readthrough.store.entry.count", "a store that is away has no numbers")
}

// named returns the spans of a name, once there are n.
func (r *rig) named(name string, n int) (found tracetest.SpanStubs) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		found = nil
		for _, s := range r.spans.GetSpans() {
			if s.Name == name {
				found = append(found, s)
			}
		}
		return len(found) >= n
	}, time.Minute, time.Millisecond, name)
	return found
}

// TestSpans: loads and invalidations are below the span of their callers, what runs in the load
// function is below the load, and a hit has no span.
func TestSpans(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, request := r.tracer.Start(t.Context(), "request")
	_, err := readthrough.Wrap(ctx, r.scope, "k", func(ctx context.Context) (int, error) {
		_, query := r.tracer.Start(ctx, "query")
		time.Sleep(time.Millisecond)
		query.End()
		return 1, nil
	})
	require.NoError(t, err)
	load, query := r.named("load users", 1)[0], r.named("query", 1)[0]
	assert.Equal(t, request.SpanContext().SpanID(), load.Parent.SpanID())
	assert.Equal(t, load.SpanContext.SpanID(), query.Parent.SpanID())
	assert.False(t, load.EndTime.Before(query.EndTime), "the load ends after what is in it")
	assert.Equal(t, codes.Unset, load.Status.Code)
	before := len(r.spans.GetSpans())
	r.read(ctx, "k", nil)
	assert.Len(t, r.spans.GetSpans(), before, "spans of a hit")

	r.read(ctx, "secret", io.ErrUnexpectedEOF)
	failed := r.named("load users", 2)[1]
	assert.Equal(t, codes.Error, failed.Status.Code)
	assert.Contains(t, failed.Attributes, attribute.String("error.type", "_OTHER"))

	require.NoError(t, r.scope.Invalidate(ctx, "secret"))
	invalidated := r.named("invalidate users", 1)[0]
	assert.Equal(t, request.SpanContext().SpanID(), invalidated.Parent.SpanID())
	assert.False(t, invalidated.StartTime.Before(load.StartTime))
	r.store.away.Store(true)
	require.ErrorIs(t, r.scope.Invalidate(ctx, "secret"), readthrough.ErrInvalidationPending)
	pending := r.named("invalidate users", 2)[1]
	assert.Equal(t, codes.Error, pending.Status.Code)
	assert.Contains(t, pending.Attributes, attribute.String("error.type", "pending"))
	for _, s := range r.spans.GetSpans() {
		for _, a := range s.Attributes {
			assert.NotContains(t, a.Value.String(), "secret", "keys are in no span: %s %s", s.Name, a.Key)
		}
	}
}

// TestRefreshIsATraceOfItsOwn, with a link to the read that began it.
func TestRefreshIsATraceOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	telemetry, err := otelcache.New(otelcache.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))})
	require.NoError(t, err)
	observer := telemetry.Observer()
	ctx, request := r.tracer.Start(t.Context(), "request")
	loading := observer.LoadStart(ctx, readthrough.Event{Scope: "s", Count: 1, Refresh: true})
	observer.LoadEnd(loading, readthrough.Event{Scope: "s", Count: 1, Refresh: true, Duration: time.Second})
	span := r.named("load s", 1)[0]
	assert.False(t, span.Parent.IsValid())
	assert.NotEqual(t, request.SpanContext().TraceID(), span.SpanContext.TraceID())
	require.Len(t, span.Links, 1)
	assert.Equal(t, request.SpanContext().SpanID(), span.Links[0].SpanContext.SpanID())
	assert.Equal(t, time.Second, span.EndTime.Sub(span.StartTime))
}

// TestKindsOfErrors are few.
func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := readthrough.Wrap(t.Context(), r.scope, "k", func(context.Context) (int, error) { panic("oh") })
	require.Error(t, err)
	r.read(t.Context(), "l", context.DeadlineExceeded)
	r.read(t.Context(), "m", context.Canceled)
	kinds := make(map[string]bool)
	for _, span := range r.named("load users", 3) {
		kinds[span.Status.Description] = true
	}
	assert.Equal(t, map[string]bool{"panic": true, "timeout": true, "canceled": true}, kinds)
	telemetry, err := otelcache.New(otelcache.Options{})
	require.NoError(t, err)
	_, err = telemetry.Register(nil)
	assert.EqualError(t, err, "otelcache: Register: cache: must not be nil")
}
