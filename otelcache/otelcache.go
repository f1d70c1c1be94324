// Package otelcache reports what a cache does to OpenTelemetry: metrics, and spans for loads, mutations,
// invalidations and requests to the store. It is a module of its own, so a program that does not use it compiles nothing of
// OpenTelemetry.
//
//	telemetry, err := otelcache.New(otelcache.Options{})
//	cache, err := readthrough.New(store, readthrough.Options{Observer: telemetry.Observer()})
//	err = telemetry.Register(cache)
//
// A hit costs nothing: its numbers are read from [readthrough.Stats] when the metrics are collected.
// No attribute is a key. Their number is bounded by that of the scopes.
//
// # Metrics
//
// All metrics have the attribute readthrough.scope, except those of the store.
//
//	readthrough.reads                     counter, {key}, by readthrough.result: near, hit, miss or joined
//	readthrough.reads.stale               counter, {key}
//	readthrough.load.active               up-down counter, {key}
//	readthrough.load.duration             histogram, s, by readthrough.refresh and error.type
//	readthrough.fills.refused             counter, {key}, by readthrough.cause: invalidated or lease_lost
//	readthrough.invalidations             counter, {target}
//	readthrough.invalidation.duration     histogram, s, by error.type
//	readthrough.invalidation.pending      up-down counter, {target}
//	readthrough.invalidation.pending_age  gauge, s
//	readthrough.errors                    counter, {error}, by readthrough.operation and error.type
//	readthrough.samples                   counter, {key}
//	readthrough.sample.stale_age          histogram, s
//	readthrough.store.request.duration    histogram, s, by readthrough.operation and error.type
//	readthrough.store.breaker             gauge, 1 for the state that it is in, by readthrough.state
//	readthrough.store.breaker.opens       counter, {time}
//	readthrough.store.request.unanswered  up-down counter, {request}
//	readthrough.store.entry.count         up-down counter, {entry}
//	readthrough.store.weight              up-down counter, in the unit of the store's bound
//	readthrough.store.evictions           counter, {entry}
//	readthrough.store.expirations         counter, {entry}
//
// A near read was answered by the near cache, in this process. A joined read has missed, and waits
// for a load that another one has begun. A key whose stale value was served counts in
// readthrough.reads, too. A store that is no [provider.Inspector], or does not answer, has no
// numbers of its own.
//
// # Spans
//
// A hit has no span. These are the others:
//
//	load <scope>        a load function, whose context has the span. Below the read that began it
//	wait <scope>        the wait of a read that has joined a load of another one, below that read. It has a
//	                    link to the span of the load, which is in the trace of the read that began it
//	mutate <scope>      a Mutate: the write, the invalidation and the emission are below it
//	invalidate <scope>  an invalidation, below its caller or its mutation; an error if it is pending
//	<operation> <scope> what the cache asked of the store: acquire, fill, set, release, delete, deletePrefix,
//	                    hold or unhold. Below the read, the mutation or the invalidation's caller that
//	                    it delays
//
// A load in the background is the root of a trace of its own, with a link to the read that began it: that
// read does not wait for it. What it asks of the store is below it.
//
// The status of a span is an error, with error.type, if what it stands for has failed. Texts of errors are not
// recorded: they may name keys.
//
// All spans but those of loads and mutations are made when they are over. So the spans of the client of the
// store, which for go-redis are those of github.com/redis/go-redis/extra/redisotel, lie beside those of the
// operations and not below them.
//
// # Names that will change
//
// There is no stable convention for caches (github.com/open-telemetry/semantic-conventions, issue
// 1747). All names that begin with readthrough follow the general rules for names, and will be
// replaced by those of the convention when it is stable. error.type is stable.
package otelcache

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/readthrough/readthrough"
)

// scopeName is the name of the instrumentation scope.
const scopeName = "github.com/readthrough/readthrough/otelcache"

// Options configure [New]. The zero value uses the global providers.
type Options struct {
	// MeterProvider makes the instruments. nil means the global one.
	// Example: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).
	MeterProvider metric.MeterProvider

	// TracerProvider makes the spans. nil means the global one. Example: noop.NewTracerProvider(),
	// for metrics alone.
	TracerProvider trace.TracerProvider

	// Attributes are added to all metrics and spans, to tell several caches of a process apart.
	// Example: []attribute.KeyValue{attribute.String("cache", "sessions")}.
	Attributes []attribute.KeyValue

	_ struct{}
}

// Telemetry reports what caches do. Make it with [New]. It is safe for concurrent use.
type Telemetry struct {
	meter  metric.Meter
	tracer trace.Tracer
	common []attribute.KeyValue

	loads, invalidations, requests, staleAges metric.Float64Histogram
	errors                                    metric.Int64Counter

	sets  made[set, metric.MeasurementOption]
	kinds made[kind, beginning]
}

// New returns a Telemetry. The error is that of the meter provider, if it refuses an instrument.
func New(options Options) (*Telemetry, error) {
	meters := options.MeterProvider
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	tracers := options.TracerProvider
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	t := &Telemetry{meter: meters.Meter(scopeName), tracer: tracers.Tracer(scopeName), common: slices.Clone(options.Attributes)}
	// Most loads are queries: from a millisecond to ten seconds.
	bounds := metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
	var errs [5]error
	t.loads, errs[0] = t.meter.Float64Histogram("readthrough.load.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long load functions took."))
	t.invalidations, errs[1] = t.meter.Float64Histogram("readthrough.invalidation.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long invalidations took, until the store has confirmed them or has not."))
	t.errors, errs[2] = t.meter.Int64Counter("readthrough.errors", metric.WithUnit("{error}"),
		metric.WithDescription("Errors that failed no read."))
	t.requests, errs[3] = t.meter.Float64Histogram("readthrough.store.request.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1),
		metric.WithDescription("How long requests to the store took that no hit has made."))
	t.staleAges, errs[4] = t.meter.Float64Histogram("readthrough.sample.stale_age", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 30, 60, 300, 900, 3600, 6*3600, 24*3600),
		metric.WithDescription("How long ago values were loaded that a sample has found stale."))
	return t, errors.Join(errs[:]...)
}

// Observer returns the observer for [readthrough.Options]. A service that has an observer of its own
// calls these functions in its own.
func (t *Telemetry) Observer() readthrough.Observer {
	return readthrough.Observer{
		LoadStart: t.loadStart, LoadEnd: t.loadEnd, Waited: t.waited,
		MutateStart: t.mutateStart, MutateEnd: t.mutateEnd,
		Invalidate: t.invalidate, Store: t.asked,
		SampledStale: t.sampledStale, Error: t.failed,
	}
}

// loadKey is the key under which the context of a load has its *loading.
type loadKey struct{}

// loading is a load whose span has not ended.
type loading struct {
	span  trace.Span
	began time.Time
}

func (t *Telemetry) loadStart(ctx context.Context, e readthrough.Event) context.Context {
	began := time.Now()
	b := t.beginning(kind{verb: "load", scope: e.Scope, counted: ofKeys, n: e.Count, load: true, refresh: e.Refresh})
	options := []trace.SpanStartOption{trace.WithTimestamp(began), b.attributes}
	if e.Refresh {
		options = append(options, trace.WithNewRoot())
		if from := trace.SpanContextFromContext(ctx); from.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	ctx, span := t.tracer.Start(ctx, b.name, options...)
	return context.WithValue(ctx, loadKey{}, &loading{span, began})
}

// loadEnd is told after the values were stored, so the end of the load is reckoned from its
// beginning.
func (t *Telemetry) loadEnd(ctx context.Context, e readthrough.Event) {
	t.loads.Record(ctx, e.Duration.Seconds(), t.set(set{scope: e.Scope, load: true, refresh: e.Refresh, failure: failure(e.Err)}))
	if l, ok := ctx.Value(loadKey{}).(*loading); ok {
		end(l.span, l.began.Add(e.Duration), e.Err)
	}
}

// waited is told when the wait is over. The span of the load has ended, or has not: a link may refer to it
// in both cases. If the value was found in the store instead, there is no such span, and the link is to the
// read that began it.
func (t *Telemetry) waited(ctx context.Context, e readthrough.Event) {
	b := t.beginning(kind{verb: "wait", scope: e.Scope, counted: ofKeys, n: e.Count})
	options := []trace.SpanStartOption{trace.WithTimestamp(e.Began), b.attributes}
	if of := trace.SpanContextFromContext(e.Load); of.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: of}))
	}
	_, span := t.tracer.Start(ctx, b.name, options...)
	end(span, e.Began.Add(e.Duration), nil)
}

// mutateKey is the key under which the context of a mutation has its span.
type mutateKey struct{}

func (t *Telemetry) mutateStart(ctx context.Context, e readthrough.Event) context.Context {
	b := t.beginning(kind{verb: "mutate", scope: e.Scope, counted: ofTargets, n: e.Count})
	ctx, span := t.tracer.Start(ctx, b.name, trace.WithTimestamp(e.Began), b.attributes)
	return context.WithValue(ctx, mutateKey{}, span)
}

func (*Telemetry) mutateEnd(ctx context.Context, e readthrough.Event) {
	if span, ok := ctx.Value(mutateKey{}).(trace.Span); ok {
		end(span, e.Began.Add(e.Duration), e.Err)
	}
}

// asked is told when the work around the request is over, so its span lies in the past.
func (t *Telemetry) asked(ctx context.Context, e readthrough.Event) {
	t.requests.Record(ctx, e.Duration.Seconds(), t.set(set{scope: e.Scope, operation: e.Op, failure: failure(e.Err)}))
	b := t.beginning(kind{verb: e.Op, operation: true, scope: e.Scope, counted: ofKeys, n: e.Count})
	_, span := t.tracer.Start(ctx, b.name, trace.WithTimestamp(e.Began), b.attributes)
	end(span, e.Began.Add(e.Duration), e.Err)
}

func (t *Telemetry) sampledStale(ctx context.Context, e readthrough.Event) {
	t.staleAges.Record(ctx, e.Duration.Seconds(), t.set(set{scope: e.Scope}))
}

// invalidate is told when an invalidation is over, so its span begins in the past.
func (t *Telemetry) invalidate(ctx context.Context, e readthrough.Event) {
	t.invalidations.Record(ctx, e.Duration.Seconds(), t.set(set{scope: e.Scope, failure: failure(e.Err)}))
	now := time.Now()
	b := t.beginning(kind{verb: "invalidate", scope: e.Scope, counted: ofTargets, n: e.Count})
	_, span := t.tracer.Start(ctx, b.name, trace.WithTimestamp(now.Add(-e.Duration)), b.attributes)
	end(span, now, e.Err)
}

func (t *Telemetry) failed(ctx context.Context, err *readthrough.OpError) {
	t.errors.Add(ctx, 1, t.set(set{scope: err.Scope, operation: err.Op, failure: failure(err.Err)}))
}

// end ends a span. The text of an error is not recorded: it may name keys.
func end(span trace.Span, at time.Time, err error) {
	if !span.IsRecording() { // most are not: what follows would be made for nothing
		span.End()
		return
	}
	if err != nil {
		kind := failure(err)
		span.SetAttributes(errorType(kind))
		span.SetStatus(codes.Error, kind)
	}
	span.End(trace.WithTimestamp(at))
}

// failure returns one of a few kinds of errors: an attribute must not have the text of an error. nil is "".
func failure(err error) string {
	if err == nil {
		return ""
	}
	var panicked *readthrough.PanicError
	switch {
	case errors.Is(err, readthrough.ErrInvalidationPending):
		return "pending"
	case errors.Is(err, readthrough.ErrLoadTimeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, readthrough.ErrClosed):
		return "canceled"
	case errors.As(err, &panicked), errors.Is(err, readthrough.ErrGoexit):
		return "panic"
	default:
		return "_OTHER" // the convention's word for what has no name
	}
}
