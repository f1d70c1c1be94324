package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Sampling finds out in production whether values are stale ([ScopeOptions.SampleOneIn]). For one in so
// many hits:
//
//  1. What the store has under the key, and would be served, is compared with a fresh load.
//  2. If they differ, a change may be on its way: it is written and not yet invalidated. So both are looked
//     at again after SampleRecheck.
//  3. If the source still has something else, and the store still the same entry, the entry is stale: it
//     has survived a change. An entry that was invalidated or has ended meanwhile is another one, or gone.
//
// In step 3 the source is asked first. What it has then was there before the store was asked, so the
// entry was still served after the source had changed, and that for SampleRecheck at least.
//
// The read itself is not changed, and does not wait. No load of a sample is stored, joined, or counted.

// sampleOne samples a hit of key, whose load function is load.
func sampleOne[T any](ctx context.Context, s *keyspace, key string, load func(context.Context) (T, error)) {
	if !s.maySample(ctx, key) {
		return
	}
	s.startSample(ctx, &sample{
		scope: s, key: strings.Clone(key), // it may be a buffer
		decode: func(entry *provider.Entry) (any, error) { return valueOf[T](entry.Value) },
		load:   func(ctx context.Context) (any, error) { return load(ctx) },
	})
}

// sampleID is sampleOne for a load function that takes an id. It is apart from its callers so that a hit
// allocates neither the id nor the closure.
func sampleID[ID, T any](ctx context.Context, s *keyspace, key string, id ID, load func(context.Context, ID) (T, error)) {
	sampleOne(ctx, s, key, func(ctx context.Context) (T, error) { return load(ctx, id) })
}

// sampleSome samples one of the hits of a bulk read. missing are the others, in the order of the keys.
func sampleSome[ID comparable, T any](ctx context.Context, s *keyspace, ids []ID, keys []string, missing []item, load func(context.Context, []ID) (map[ID]T, error)) {
	n := rand.IntN(len(keys) - len(missing))
	for i := range missing {
		if missing[i].index <= n {
			n++
		}
	}
	sampleID(ctx, s, keys[n], ids[n], func(ctx context.Context, id ID) (value T, err error) {
		values, err := load(ctx, []ID{id})
		value, ok := values[id]
		if !ok && err == nil {
			err = ErrNotFound
		}
		return value, err
	})
}

// maySample reports whether a read with ctx may be sampled now. A load inside of another one and a load in
// a transaction are none for the background: what their contexts have is over by then.
func (s *keyspace) maySample(ctx context.Context, key string) bool {
	return ctx != nil && !s.closed.Load() && parentCall(ctx) == nil && s.collector(ctx) == nil && !s.isDirect(ctx, key)
}

// sample is one comparison, with its typed ends.
type sample struct {
	scope  *keyspace
	key    string
	decode func(entry *provider.Entry) (any, error)
	load   func(ctx context.Context) (any, error)
}

// startSample runs a sample in the background, if there is room for it.
func (s *keyspace) startSample(ctx context.Context, m *sample) {
	if !s.sampler.admit(&s.engine.options, time.Now()) {
		return
	}
	if !s.spawn(func() { defer s.sampler.done(); m.run(context.WithoutCancel(ctx)) }) {
		s.sampler.done()
	}
}

// run compares, and compares again after a pause if there is a difference.
func (m *sample) run(ctx context.Context) {
	s := m.scope
	before, cached, ok := m.look(ctx)
	if !ok {
		return
	}
	differs, ok := m.differs(ctx, before, cached)
	if !ok {
		return
	}
	s.sampling.sampled.Add(1)
	if !differs || !m.pause() {
		return
	}
	if differs, ok = m.differs(ctx, before, cached); !ok || !differs {
		return
	}
	now, _, ok := m.look(ctx)
	if !ok || now.Absent != before.Absent || !now.LoadedAt.Equal(before.LoadedAt) {
		return // it has ended, or was invalidated
	}
	m.found(ctx, age(before.LoadedAt))
}

// look returns the entry that a reader would be served, and its value; false if there is none.
func (m *sample) look(ctx context.Context) (*provider.Entry, any, bool) {
	if m.scope.flights.bypasses(m.key) {
		return nil, nil, false
	}
	entry, found, err := m.scope.backend.Get(ctx, m.scope.key(m.key))
	if err != nil || !found || m.scope.freshness(&entry) != fresh { // reads tell of such errors
		return nil, nil, false
	}
	if entry.Absent {
		return &entry, nil, true
	}
	value, err := m.decode(&entry)
	return &entry, value, err == nil
}

// pause waits for SampleRecheck, and for as long as the source may lag. It returns false if the cache was
// closed meanwhile.
func (m *sample) pause() bool {
	timer := time.NewTimer(m.scope.engine.options.SampleRecheck + m.scope.options.ReplicaLag)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-m.scope.closing:
		return false
	}
}

// differs reports whether the source has something else than what is cached. ok is false if the source has
// not answered, or the cache was closed meanwhile. Nothing waits for a load function that hangs.
func (m *sample) differs(ctx context.Context, entry *provider.Entry, cached any) (differs, ok bool) {
	s := m.scope
	timeout := s.options.LoadTimeout
	if timeout == 0 {
		timeout = backgroundTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var answer atomic.Pointer[bool]
	over := make(chan struct{}) // closed when nobody waits any more
	stop := context.AfterFunc(ctx, func() { close(over) })
	defer stop()
	unwatch := s.endWith(cancel)
	defer unwatch()
	if err := apart(over, func() {
		if d, known := m.compare(ctx, entry, cached); known {
			answer.Store(&d)
		}
	}); err != nil {
		s.tellError(ctx, s.closing, &OpError{opSample, s.name, m.key, fmt.Errorf("readthrough: a load function or Options.SampleEqual failed: %w", err)})
	}
	if d := answer.Load(); d != nil && ctx.Err() == nil {
		return *d, true
	}
	return false, false
}

// compare loads, and compares what comes. known is false if the source has failed.
func (m *sample) compare(ctx context.Context, entry *provider.Entry, cached any) (differs, known bool) {
	value, err := m.load(ctx)
	switch {
	case err != nil && m.scope.isNotFound(err):
		return !entry.Absent, true
	case err != nil:
		return false, false
	case entry.Absent:
		return true, true
	case m.scope.engine.options.SampleEqual != nil:
		return !m.scope.engine.options.SampleEqual(m.scope.name, cached, value), true
	default:
		return !reflect.DeepEqual(cached, value), true
	}
}

// errStale is what a sample has found.
var errStale = errors.New("the value is stale: the source has had another one for longer than SampleRecheck, and nothing has invalidated it")

// found counts and tells that an entry of that age is stale.
func (m *sample) found(ctx context.Context, age time.Duration) {
	s := m.scope
	s.sampling.found(age)
	event := Event{Scope: s.name, Key: m.key, Count: 1, Duration: age}
	if tell := s.observer.SampledStale; tell != nil {
		s.observerFailed(s.closing, m.key, apart(s.closing, func() { tell(ctx, event) }))
	}
	s.tellError(ctx, s.closing, &OpError{opSample, s.name, m.key, fmt.Errorf("readthrough: %w (it was loaded %v ago)", errStale, age.Round(time.Millisecond))})
}
