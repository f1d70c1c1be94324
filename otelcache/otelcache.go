// Package otelcache reports what a cache does to OpenTelemetry: metrics, and spans for loads and
// invalidations. It is a module of its own, so a program that does not use it compiles nothing of
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
// A load is a span "load <scope>". Its parent is the span of the read that began it, and the load
// function gets its context. A load in the background is the root of a trace of its own, with a link
// to the read that began it: that read does not wait for it. An invalidation is a span
// "invalidate <scope>" below the span of its caller; its status is an error if it is pending.
//
// The requests to the store are traced by the client of the store, below the span of the read. For
// go-redis that is github.com/redis/go-redis/extra/redisotel.
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

	loads, invalidations metric.Float64Histogram
	errors               metric.Int64Counter
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
	t := &Telemetry{meter: meters.Meter(scopeName), tracer: tracers.Tracer(scopeName), common: options.Attributes}
	// Most loads are queries: from a millisecond to ten seconds.
	bounds := metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
	var errs [3]error
	t.loads, errs[0] = t.meter.Float64Histogram("readthrough.load.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long load functions took."))
	t.invalidations, errs[1] = t.meter.Float64Histogram("readthrough.invalidation.duration", metric.WithUnit("s"), bounds,
		metric.WithDescription("How long invalidations took, until the store has confirmed them or has not."))
	t.errors, errs[2] = t.meter.Int64Counter("readthrough.errors", metric.WithUnit("{error}"),
		metric.WithDescription("Errors that failed no read."))
	return t, errors.Join(errs[:]...)
}

// Observer returns the observer for [readthrough.Options]. A service that has an observer of its own
// calls these functions in its own.
func (t *Telemetry) Observer() readthrough.Observer {
	return readthrough.Observer{LoadStart: t.loadStart, LoadEnd: t.loadEnd, Invalidate: t.invalidate, Error: t.failed}
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
	options := []trace.SpanStartOption{
		trace.WithTimestamp(began),
		trace.WithAttributes(t.with(scope(e.Scope), attribute.Int("readthrough.keys", e.Count), refresh(e.Refresh))...),
	}
	if e.Refresh {
		options = append(options, trace.WithNewRoot())
		if from := trace.SpanContextFromContext(ctx); from.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	ctx, span := t.tracer.Start(ctx, "load "+e.Scope, options...)
	return context.WithValue(ctx, loadKey{}, &loading{span, began})
}

// loadEnd is told after the values were stored, so the end of the load is reckoned from its
// beginning.
func (t *Telemetry) loadEnd(ctx context.Context, e readthrough.Event) {
	attributes := t.with(scope(e.Scope), refresh(e.Refresh))
	if e.Err != nil {
		attributes = append(attributes, errorType(e.Err))
	}
	t.loads.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(attributes...))
	if l, ok := ctx.Value(loadKey{}).(*loading); ok {
		end(l.span, l.began.Add(e.Duration), e.Err)
	}
}

// invalidate is told when an invalidation is over, so its span begins in the past.
func (t *Telemetry) invalidate(ctx context.Context, e readthrough.Event) {
	attributes := t.with(scope(e.Scope))
	if e.Err != nil {
		attributes = append(attributes, errorType(e.Err))
	}
	t.invalidations.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(attributes...))
	now := time.Now()
	_, span := t.tracer.Start(ctx, "invalidate "+e.Scope, trace.WithTimestamp(now.Add(-e.Duration)),
		trace.WithAttributes(t.with(scope(e.Scope), attribute.Int("readthrough.targets", e.Count))...))
	end(span, now, e.Err)
}

func (t *Telemetry) failed(ctx context.Context, err *readthrough.OpError) {
	t.errors.Add(ctx, 1, metric.WithAttributes(t.with(scope(err.Scope), attribute.String("readthrough.operation", err.Op), errorType(err.Err))...))
}

// end ends a span. The text of an error is not recorded: it may name keys.
func end(span trace.Span, at time.Time, err error) {
	if err != nil {
		kind := errorType(err)
		span.SetAttributes(kind)
		span.SetStatus(codes.Error, kind.Value.AsString())
	}
	span.End(trace.WithTimestamp(at))
}

// with returns attributes with those of all metrics and spans.
func (t *Telemetry) with(attributes ...attribute.KeyValue) []attribute.KeyValue {
	return append(attributes, t.common...)
}

func scope(name string) attribute.KeyValue { return attribute.String("readthrough.scope", name) }

func refresh(is bool) attribute.KeyValue { return attribute.Bool("readthrough.refresh", is) }

// errorType returns one of a few kinds of errors: an attribute must not have the text of an error.
func errorType(err error) attribute.KeyValue {
	kind := "_OTHER" // the convention's word for what has no name
	var panicked *readthrough.PanicError
	switch {
	case errors.Is(err, readthrough.ErrInvalidationPending):
		kind = "pending"
	case errors.Is(err, readthrough.ErrLoadTimeout), errors.Is(err, context.DeadlineExceeded):
		kind = "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, readthrough.ErrClosed):
		kind = "canceled"
	case errors.As(err, &panicked), errors.Is(err, readthrough.ErrGoexit):
		kind = "panic"
	}
	return attribute.String("error.type", kind)
}
