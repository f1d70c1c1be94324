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
	attributes := t.with(scope(s.scope))
	if s.operation != "" {
		attributes = append(attributes, operation(s.operation))
	}
	if s.load {
		attributes = append(attributes, refresh(s.refresh))
	}
	if s.failure != "" {
		attributes = append(attributes, errorType(s.failure))
	}
	option := metric.WithAttributeSet(attribute.NewSet(attributes...))
	t.sets.put(s, option)
	return option
}

// kind says with what a span begins.
type kind struct {
	verb          string // of its name
	operation     bool   // the verb is an operation of the store
	scope         string
	load, refresh bool // only a load says whether it is a refresh
	keys, targets int  // one of the two
}

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
	attributes := t.with(scope(k.scope))
	if k.operation {
		attributes = append(attributes, operation(k.verb))
	}
	if k.load {
		attributes = append(attributes, refresh(k.refresh))
	}
	if k.targets != 0 {
		attributes = append(attributes, attribute.Int("readthrough.targets", k.targets))
	} else {
		attributes = append(attributes, attribute.Int("readthrough.keys", k.keys))
	}
	b := beginning{k.verb + " " + k.scope, trace.WithAttributes(attributes...)}
	if k.keys+k.targets == 1 {
		t.kinds.put(k, b)
	}
	return b
}

// with returns attributes with those of all metrics and spans.
func (t *Telemetry) with(attributes ...attribute.KeyValue) []attribute.KeyValue {
	return append(attributes, t.common...)
}

func scope(name string) attribute.KeyValue { return attribute.String("readthrough.scope", name) }

func operation(name string) attribute.KeyValue {
	return attribute.String("readthrough.operation", name)
}

func refresh(is bool) attribute.KeyValue { return attribute.Bool("readthrough.refresh", is) }

func errorType(failure string) attribute.KeyValue { return attribute.String("error.type", failure) }

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
	m.of[key] = v
}
