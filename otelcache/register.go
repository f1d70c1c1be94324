package otelcache

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// Register makes the instruments that are read from the statistics of cache whenever metrics are
// collected. A collection asks the store for its statistics once, behind its deadline and its
// breaker. unregister ends that; it need not be called before the cache is closed. The error is that
// of the meter provider, or says that cache is nil.
func (t *Telemetry) Register(cache *readthrough.Cache) (unregister func() error, err error) {
	if cache == nil {
		return nil, errors.New("otelcache: Register: cache: must not be nil")
	}
	i := &instruments{t: t, cache: cache}
	if err := errors.Join(i.make()...); err != nil {
		return nil, err
	}
	registration, err := t.meter.RegisterCallback(i.observe,
		i.reads, i.stale, i.samples, i.active, i.refused, i.invalidations, i.pending, i.age,
		i.breaker, i.opens, i.unanswered, i.entries, i.weight, i.evictions, i.expirations)
	if err != nil {
		return nil, err
	}
	return registration.Unregister, nil
}

// instruments are those that are read from statistics.
type instruments struct {
	t     *Telemetry
	cache *readthrough.Cache

	reads, stale, samples, refused, invalidations, opens, evictions, expirations metric.Int64ObservableCounter
	active, pending, unanswered, entries, weight                                 metric.Int64ObservableUpDownCounter
	breaker                                                                      metric.Int64ObservableGauge
	age                                                                          metric.Float64ObservableGauge
}

func (i *instruments) make() (errs []error) {
	for _, c := range []struct {
		to                      *metric.Int64ObservableCounter
		name, unit, description string
	}{
		{&i.reads, "readthrough.reads", "{key}", "Keys that were read."},
		{&i.stale, "readthrough.reads.stale", "{key}", "Keys whose stale values were served."},
		{&i.samples, "readthrough.samples", "{key}", "Stored values that were compared with the source."},
		{&i.refused, "readthrough.fills.refused", "{key}", "Loaded values that were not stored."},
		{&i.invalidations, "readthrough.invalidations", "{target}", "Keys and prefixes that were invalidated."},
		{&i.opens, "readthrough.store.breaker.opens", "{time}", "How often the breaker was opened."},
		{&i.evictions, "readthrough.store.evictions", "{entry}", "Entries removed to stay within the bounds."},
		{&i.expirations, "readthrough.store.expirations", "{entry}", "Entries removed at the end of their TTL."},
	} {
		var err error
		*c.to, err = i.t.meter.Int64ObservableCounter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.description))
		errs = append(errs, err)
	}
	for _, c := range []struct {
		to                      *metric.Int64ObservableUpDownCounter
		name, unit, description string
	}{
		{&i.active, "readthrough.load.active", "{key}", "Keys that are being loaded or stored."},
		{&i.pending, "readthrough.invalidation.pending", "{target}", "Keys and prefixes whose invalidation the store has not confirmed."},
		{&i.unanswered, "readthrough.store.request.unanswered", "{request}", "Requests without an answer although their deadline is over."},
		{&i.entries, "readthrough.store.entry.count", "{entry}", "Entries in the store."},
		{&i.weight, "readthrough.store.weight", "{weight}", "Weight of the entries, in the unit of the store's bound."},
	} {
		var err error
		*c.to, err = i.t.meter.Int64ObservableUpDownCounter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.description))
		errs = append(errs, err)
	}
	var err error
	i.breaker, err = i.t.meter.Int64ObservableGauge("readthrough.store.breaker", metric.WithUnit("{state}"), metric.WithDescription("1 for the state that the breaker is in."))
	errs = append(errs, err)
	i.age, err = i.t.meter.Float64ObservableGauge("readthrough.invalidation.pending_age", metric.WithUnit("s"), metric.WithDescription("For how long something has been pending."))
	return append(errs, err)
}

// observe is called for each collection.
func (i *instruments) observe(ctx context.Context, o metric.Observer) error {
	now := time.Now()
	for _, s := range i.cache.Scopes() {
		i.observeScope(o, now, s)
	}
	return i.observeStore(ctx, o)
}

func (i *instruments) observeScope(o metric.Observer, now time.Time, s *readthrough.CachedScope) {
	stats, name := s.Stats(), scope(s.Name())
	of := func(more ...attribute.KeyValue) metric.ObserveOption {
		return metric.WithAttributes(i.t.with(append(more, name)...)...)
	}
	result := func(is string) metric.ObserveOption { return of(attribute.String("readthrough.result", is)) }
	o.ObserveInt64(i.reads, stats.NearHits, result("near"))
	o.ObserveInt64(i.reads, stats.Joined, result("joined"))
	// The counters are read one after the other, so a reader may be between two of them.
	o.ObserveInt64(i.reads, max(stats.Hits-stats.NearHits, 0), result("hit"))
	o.ObserveInt64(i.reads, max(stats.Misses-stats.Joined, 0), result("miss"))
	o.ObserveInt64(i.stale, stats.Stale, of())
	o.ObserveInt64(i.samples, stats.Sampled, of())
	o.ObserveInt64(i.active, int64(stats.InFlight), of())
	o.ObserveInt64(i.refused, stats.RefusedFills, of(attribute.String("readthrough.cause", "invalidated")))
	o.ObserveInt64(i.refused, stats.LostLeases, of(attribute.String("readthrough.cause", "lease_lost")))
	o.ObserveInt64(i.invalidations, stats.Invalidations, of())
	o.ObserveInt64(i.pending, int64(stats.Pending), of())
	age := 0.0
	if !stats.PendingSince.IsZero() {
		age = now.Sub(stats.PendingSince).Seconds()
	}
	o.ObserveFloat64(i.age, age, of())
}

// observeStore observes the store. If it does not answer, that shows in the breaker, and is no error
// of the collection.
func (i *instruments) observeStore(ctx context.Context, o metric.Observer) error {
	common := metric.WithAttributes(i.t.common...)
	state := i.cache.StoreState()
	for _, name := range []string{"closed", "half-open", "open"} {
		is := int64(0)
		if state.Breaker == name {
			is = 1
		}
		o.ObserveInt64(i.breaker, is, metric.WithAttributes(i.t.with(attribute.String("readthrough.state", name))...))
	}
	o.ObserveInt64(i.opens, state.Opens, common)
	o.ObserveInt64(i.unanswered, int64(state.Unanswered), common)
	stats, err := i.cache.StoreStats(ctx)
	if err != nil {
		return nil //nolint:nilerr // the breaker says it
	}
	for value, observe := range map[*int64]func(int64){
		&stats.Entries:     func(n int64) { o.ObserveInt64(i.entries, n, common) },
		&stats.Weight:      func(n int64) { o.ObserveInt64(i.weight, n, common) },
		&stats.Evictions:   func(n int64) { o.ObserveInt64(i.evictions, n, common) },
		&stats.Expirations: func(n int64) { o.ObserveInt64(i.expirations, n, common) },
	} {
		if *value != provider.Unknown {
			observe(*value)
		}
	}
	return nil
}
