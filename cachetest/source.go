package cachetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/readthrough/readthrough"
)

// ErrStopped is the error of loads after [Source.Sweep] has stopped them.
var ErrStopped = errors.New("cachetest: loads are stopped")

// Source is a source of truth in memory that records what happens to it. Every key
// exists from the start and has a version, which [Source.Write] raises. [NewSource]
// and [NewSourceOf] make one. Its methods are safe for concurrent use. Set its fields
// before you use it.
//
// Loads return values until [Source.Sweep] stops them. Commits and loads take their
// places in the order while they hold the lock of the source, so places and versions
// agree.
type Source[T any] struct {
	// Pause is called in every load before and after it reads the source, so that a
	// load takes time and other operations can run meanwhile. An example is a sleep
	// of a random time. nil means no pause.
	Pause func(ctx context.Context)

	// NotFound is the error of a load of a key that [Source.Delete] has removed. Read
	// treats an error that matches it as an absence. nil means
	// [readthrough.ErrNotFound].
	NotFound error

	h     *History
	value func(Value) T
	back  func(T) Value
	state *sourceState
}

// sourceState is the state that all views of a source share.
type sourceState struct {
	mu      sync.RWMutex // guards following; a commit takes its place in the order while it holds the write lock
	cells   map[string]cell
	stopped bool
}

// cell is what the source has under a key.
type cell struct {
	version int64
	absent  bool
}

// NewSource returns a source of [Value].
func NewSource(h *History) *Source[Value] {
	same := func(v Value) Value { return v }
	return NewSourceOf(h, same, same)
}

// NewSourceOf returns a source for a cache of another type. create makes the value
// that the source has. value is its inverse: it gets the value that came back from
// the cache.
//
//	cachetest.NewSourceOf(h,
//		func(v cachetest.Value) *User { return &User{Name: v.Key, Age: v.Version} },
//		func(u *User) cachetest.Value { return cachetest.Value{Key: u.Name, Version: u.Age} })
//
// Another source or recorder of h must not use the same keys.
func NewSourceOf[T any](h *History, create func(Value) T, value func(T) Value) *Source[T] {
	return &Source[T]{h: h, value: create, back: value, state: &sourceState{cells: map[string]cell{}}}
}

// At returns the source for the process of that name, see [History.At].
func (s *Source[T]) At(process string) *Source[T] {
	view := *s
	view.h = s.h.At(process)
	return &view
}

// Load returns the current value of key. It is the load function for the cache, or is
// called by it. It returns an error if ctx has ended.
func (s *Source[T]) Load(ctx context.Context, key string) (T, error) {
	values, err := s.LoadMany(ctx, []string{key})
	value, ok := values[key]
	if err == nil && !ok {
		err = s.notFound()
	}
	return value, err
}

// LoadMany returns the current values of keys, without absent ones. It reads each key
// on its own, not all at one moment. It returns an error if ctx has ended.
func (s *Source[T]) LoadMany(ctx context.Context, keys []string) (map[string]T, error) {
	r := s.recorder()
	o := r.begin()
	s.pause(ctx)
	values := make(map[string]T, len(keys))
	loaded := make([]operation, len(keys))
	for i, key := range keys {
		read, point, stopped := s.look(key)
		if stopped {
			return nil, ErrStopped
		}
		loaded[i] = o
		loaded[i].point, loaded[i].version, loaded[i].absent, loaded[i].pointAt = point, read.version, read.absent, s.h.now()
		if !read.absent {
			values[key] = s.value(Value{Key: key, Version: read.version})
		}
	}
	s.pause(ctx)
	if err := ctx.Err(); err != nil {
		s.h.failed.Add(1)
		return nil, err
	}
	r.end(&o)
	for i, key := range keys {
		loaded[i].end, loaded[i].endedAt = o.end, o.endedAt
		s.h.add(key, loads, loaded[i])
	}
	return values, nil
}

func (s *Source[T]) pause(ctx context.Context) {
	if s.Pause != nil {
		s.Pause(ctx)
	}
}

// look reads key and takes the place of the read in the order.
func (s *Source[T]) look(key string) (read cell, point int64, stopped bool) {
	s.state.mu.RLock()
	read, known := s.state.cells[key]
	if stopped = s.state.stopped; known {
		point = s.h.place()
	}
	s.state.mu.RUnlock()
	if known || stopped {
		return read, point, stopped
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if read, known = s.state.cells[key]; !known {
		read = s.commitLocked(key, false)
	}
	return read, s.h.place(), false
}

// commitLocked gives key a new version: the place of the commit in the order.
func (s *Source[T]) commitLocked(key string, absent bool) cell {
	c := cell{version: s.h.place(), absent: absent}
	s.state.cells[key] = c
	at := s.h.now()
	s.h.add(key, writes, operation{begin: c.version, end: c.version, version: c.version, absent: absent, beganAt: at, endedAt: at, process: s.h.process})
	return c
}

// Write commits a new version of each of keys, one after the other.
func (s *Source[T]) Write(keys ...string) { s.commit(keys, false) }

// Delete commits the absence of each of keys. It lasts until the next Write.
func (s *Source[T]) Delete(keys ...string) { s.commit(keys, true) }

func (s *Source[T]) commit(keys []string, absent bool) {
	for _, key := range keys {
		s.state.mu.Lock()
		s.commitLocked(key, absent)
		s.state.mu.Unlock()
	}
}

// Read runs read, a read of key through the cache, and returns its results. A read
// with an error is not checked, unless the error is an absence, see
// [Source.NotFound].
func (s *Source[T]) Read(key string, read func() (T, error)) (T, error) {
	return s.recorder().Read(key, read)
}

// ReadMany runs read, a bulk read of keys through the cache, and returns its results.
// A key that the result lacks is absent if read returned no error, and is not checked
// otherwise.
func (s *Source[T]) ReadMany(keys []string, read func() (map[string]T, error)) (map[string]T, error) {
	return s.recorder().ReadMany(keys, read)
}

// Sweep checks what is stored. It stops all loads, which return [ErrStopped] from
// then on, and reads every key that the source knows with read, which reads through
// the cache. A value that read returns without a load was stored, and must not be
// older than the last invalidation of its key. Call Sweep at the end of the test,
// when nothing else runs; with several processes, once for each. It returns the
// number of keys for which something was stored.
func (s *Source[T]) Sweep(read func(key string) (T, error)) (stored int) {
	s.state.mu.Lock()
	s.state.stopped = true
	keys := slices.Sorted(maps.Keys(s.state.cells))
	s.state.mu.Unlock()
	r := s.recorder()
	for _, key := range keys {
		_, err := r.read(key, func() (T, error) { return read(key) }, true)
		if err == nil || errors.Is(err, s.notFound()) {
			stored++
		}
	}
	return stored
}

func (s *Source[T]) notFound() error {
	if s.NotFound != nil {
		return s.NotFound
	}
	return readthrough.ErrNotFound
}

func (s *Source[T]) recorder() *Recorder[T] {
	return &Recorder[T]{h: s.h, describe: s.back, notFound: s.notFound(), exact: true}
}
