package otelcache

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// set says which attributes a measurement has. There are few for each scope.
type set struct {
	scope         string
	operation     string // "" for none
	load, refresh bool   // only a load says whether it is a refresh
	failure       string // "" for none
}

// set returns the attributes of s, which are sorted and hashed only once.
func (t *Telemetry) set(s set) metric.MeasurementOption {
	if option, ok := t.sets.get(s); ok {
		return option
	}
	attributes := []attribute.KeyValue{scope(s.scope)}
	if s.operation != "" {
		attributes = append(attributes, operation(s.operation))
	}
	if s.load {
		attributes = append(attributes, refresh(s.refresh))
	}
	if s.failure != "" {
		attributes = append(attributes, errorType(s.failure))
	}
	option := metric.WithAttributeSet(attribute.NewSet(t.with(attributes...)...))
	t.sets.put(s, option)
	return option
}

// kind says with what a span begins.
type kind struct {
	verb          string // of its name
	operation     bool   // the verb is an operation of the store
	scope         string
	load, refresh bool   // only a load says whether it is a refresh
	counted       string // ofKeys or ofTargets
	n             int    // how many of them
}

// What spans count.
const (
	ofKeys    = "readthrough.keys"
	ofTargets = "readthrough.targets"
)

// beginning is what a span begins with.
type beginning struct {
	name       string
	attributes trace.SpanStartEventOption
}

// beginning returns that of k. Most spans are of one key; only their beginnings are kept, since there are as many others
// as numbers.
func (t *Telemetry) beginning(k kind) beginning {
	if b, ok := t.kinds.get(k); ok {
		return b
	}
	attributes := []attribute.KeyValue{scope(k.scope), attribute.Int(k.counted, k.n)}
	if k.operation {
		attributes = append(attributes, operation(k.verb))
	}
	if k.load {
		attributes = append(attributes, refresh(k.refresh))
	}
	b := beginning{k.verb + " " + k.scope, trace.WithAttributes(t.with(attributes...)...)}
	if k.n == 1 {
		t.kinds.put(k, b)
	}
	return b
}

// with returns attributes with those of all metrics and spans, which come last: of two with one key, that one counts.
func (t *Telemetry) with(attributes ...attribute.KeyValue) []attribute.KeyValue {
	return append(attributes, t.common...)
}

func scope(name string) attribute.KeyValue { return attribute.String("readthrough.scope", name) }

func operation(name string) attribute.KeyValue {
	return attribute.String("readthrough.operation", name)
}

func refresh(is bool) attribute.KeyValue { return attribute.Bool("readthrough.refresh", is) }

func errorType(failure string) attribute.KeyValue { return attribute.String("error.type", failure) }

// mostMade bounds what is kept: a service may have a scope for each tenant. The rest is made each time.
const mostMade = 10_000

// made is what was made once for each of a few keys. The zero value is empty.
type made[K comparable, V any] struct {
	mu sync.RWMutex // guards following
	of map[K]V
}

func (m *made[K, V]) get(key K) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.of[key]
	return v, ok
}

func (m *made[K, V]) put(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = make(map[K]V)
	}
	if len(m.of) < mostMade {
		m.of[key] = v
	}
}
