package cachetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/readthrough/readthrough"
)

// Recorder records reads, loads and writes of a source that the test brings
// itself, such as a database whose rows have versions. A [Source] records itself
// and needs no Recorder. [NewRecorder] makes one. It is safe for concurrent use.
//
// A Recorder knows only that a write commits between its begin and its end. It may
// therefore miss violations that a Source would find, but it never reports a false
// one. It does not check reads that return an absence.
type Recorder[T any] struct {
	h        *History
	describe func(T) Value // Key is empty if the value does not hold its key
	notFound error
	exact    bool // of a Source: the history has the commit of every version, and the version is the place of that commit
}

// NewRecorder returns a recorder into h. version returns the version of a value:
// of two values of a key, the one that was committed later has the higher version.
// Another recorder or source of h must not use the same keys.
func NewRecorder[T any](h *History, version func(T) int64) *Recorder[T] {
	return &Recorder[T]{
		h: h, notFound: readthrough.ErrNotFound,
		describe: func(v T) Value { return Value{Version: version(v)} },
	}
}

// At returns the recorder for the process of that name, see [History.At].
func (r *Recorder[T]) At(process string) *Recorder[T] {
	view := *r
	view.h = r.h.At(process)
	return &view
}

// Read runs read, a read of key through the cache, and returns its results. An
// error that matches [readthrough.ErrNotFound] is an absence. A read with any
// other error is not checked.
func (r *Recorder[T]) Read(key string, read func() (T, error)) (T, error) {
	return r.read(key, read, false)
}

func (r *Recorder[T]) read(key string, read func() (T, error), swept bool) (T, error) {
	o := r.begin()
	o.swept = swept
	value, err := read()
	r.end(&o)
	if r.answer(&o, key, value, err) {
		r.h.add(key, reads, o)
	}
	return value, err
}

// ReadMany runs read, a bulk read of keys through the cache, and returns its
// results. A key that the result lacks is absent if read returned no error, and is
// not checked otherwise.
//
// nil keys are those of the result. That suits a read that finds out by itself what there is.
func (r *Recorder[T]) ReadMany(keys []string, read func() (map[string]T, error)) (map[string]T, error) {
	o := r.begin()
	values, err := read()
	r.end(&o)
	if keys == nil {
		keys = slices.Collect(maps.Keys(values))
	}
	for _, key := range keys {
		value, ok := values[key]
		one := o
		switch {
		case ok && r.answer(&one, key, value, nil), !ok && err == nil && r.answer(&one, key, value, r.notFound):
			r.h.add(key, reads, one)
		case err != nil:
			r.h.failed.Add(1)
		}
	}
	return values, err
}

// Load runs load, which loads key from the source, and returns its results. Call
// it inside the load function that the cache gets. Loads only appear in the
// counterexample: a load may return an old version.
func (r *Recorder[T]) Load(key string, load func() (T, error)) (T, error) {
	o := r.begin()
	value, err := load()
	r.end(&o)
	if r.answer(&o, key, value, err) {
		r.h.add(key, loads, o)
	}
	return value, err
}

// Write runs write, which changes key in the source, and returns its error. write
// returns the version that it has committed. A write that returns an error may
// have happened or not, so it is not used.
func (r *Recorder[T]) Write(key string, write func() (version int64, err error)) error {
	o := r.begin()
	version, err := write()
	r.end(&o)
	if err != nil {
		r.h.failed.Add(1)
		return err
	}
	o.version = version
	r.h.add(key, writes, o)
	return nil
}

func (r *Recorder[T]) begin() operation {
	return operation{begin: r.h.place(), beganAt: r.h.now(), process: r.h.process}
}

func (r *Recorder[T]) end(o *operation) { o.endedAt, o.end = r.h.now(), r.h.place() }

// answer sets the result of an operation. It returns false if there is nothing to
// record.
func (r *Recorder[T]) answer(o *operation, key string, value T, err error) bool {
	switch {
	case err == nil:
		described := r.describe(value)
		o.version = described.Version
		if r.exact && described.Key != key {
			o.version = foreign
		}
	case errors.Is(err, r.notFound):
		o.absent, o.unversioned = true, !r.exact
	default:
		r.h.failed.Add(1)
		return false
	}
	return true
}

// foreign is the version of a value that the source never had under the key.
const foreign = -1

// Value is the value of a key in a [Source]. A cache whose store is outside the
// process may encode it.
type Value struct {
	// Key is the key of the value. It shows when a read returns the value of
	// another key.
	Key string `json:"key"`
	// Version is the version of the value. A later write has a higher version. The
	// versions of all keys differ.
	Version int64 `json:"version"`
}

// String returns the key with the version.
func (v Value) String() string { return fmt.Sprintf("%s@%d", v.Key, v.Version) }

// WriteMany is Write for a change of several keys, which are known when it has returned: write returns the version
// that it has committed of each.
func (r *Recorder[T]) WriteMany(write func() (versions map[string]int64, err error)) error {
	o := r.begin()
	versions, err := write()
	r.end(&o)
	if err != nil {
		r.h.failed.Add(1)
		return err
	}
	for key, version := range versions {
		one := o
		one.version = version
		r.h.add(key, writes, one)
	}
	return nil
}
