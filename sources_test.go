package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough"
)

var errDatabase = errors.New("the database is down")

// source is what load functions load from. Its zero value returns zero values.
type source[T any] struct {
	loads atomic.Int64
	// gate, if not nil, holds up every load until it is closed.
	gate chan struct{}
	// takes is how long every load takes, after it has read the source: a
	// [time.Duration].
	takes atomic.Int64

	mu    sync.Mutex // guards following
	value T
	err   error
}

func (s *source[T]) set(value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
}

// take has loads that read the source from now on take that long.
func (s *source[T]) take(d time.Duration) { s.takes.Store(int64(d)) }

// fail has the source return err from now on; nil heals it.
func (s *source[T]) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source[T]) read() (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.err
}

// load reads the source, then waits at the gate or for the end of ctx.
func (s *source[T]) load(ctx context.Context) (T, error) {
	s.loads.Add(1)
	value, err := s.read()
	time.Sleep(time.Duration(s.takes.Load()))
	if s.gate == nil {
		return value, err
	}
	select {
	case <-s.gate:
		return value, err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// stubborn is load that pays no attention to its context.
func (s *source[T]) stubborn(context.Context) (T, error) {
	s.loads.Add(1)
	value, err := s.read()
	if s.gate != nil {
		<-s.gate
	}
	return value, err
}

// newSource returns a source that has value.
func newSource[T any](value T) *source[T] { return &source[T]{value: value} }

// newGated returns a source that has value and a closed gate.
func newGated[T any](value T) *source[T] {
	return &source[T]{value: value, gate: make(chan struct{})}
}

// versioned is a source with one value. Each load waits at its gates.
type versioned struct {
	version       atomic.Int64
	loads         atomic.Int64
	before, after chan struct{} // nil: open
}

func (v *versioned) load(ctx context.Context) (int64, error) {
	v.loads.Add(1)
	pass := func(gate chan struct{}) {
		if gate != nil {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
	}
	pass(v.before)
	version := v.version.Load()
	pass(v.after)
	return version, ctx.Err()
}

// self is the key of an id that is a key.
func self(id string) string { return id }

// many is the bulk load function that loads each id with load, one after the
// other, but counts as one load of the first.
func many[T any](load func(context.Context) (T, error)) func(context.Context, []string) (map[string]T, error) {
	return func(ctx context.Context, ids []string) (map[string]T, error) {
		value, err := load(ctx)
		if errors.Is(err, readthrough.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		values := make(map[string]T, len(ids))
		for _, id := range ids {
			values[id] = value
		}
		return values, nil
	}
}

// failures are the ways in which a load function can fail to return a value.
var failures = []struct {
	name  string
	fail  func() error
	check func(err error) bool
}{
	{"error", func() error { return errDatabase }, func(err error) bool { return errors.Is(err, errDatabase) }},
	{"panic", func() error { panic("boom") }, isPanicWith("boom")},
	{"panic with error", func() error { panic(errDatabase) }, func(err error) bool {
		return isPanicWith(errDatabase)(err) && errors.Is(err, errDatabase)
	}},
	{"panic with nil", func() error { panic(nil) }, func(err error) bool {
		var inner *runtime.PanicNilError
		return errors.As(err, &inner)
	}},
	{"Goexit", func() error { runtime.Goexit(); return nil }, func(err error) bool {
		return errors.Is(err, readthrough.ErrGoexit)
	}},
}

func isPanicWith(value any) func(error) bool {
	return func(err error) bool {
		var p *readthrough.PanicError
		return errors.As(err, &p) && p.Value == value && strings.Contains(string(p.Stack), "_test.go") &&
			strings.Contains(p.Error(), fmt.Sprint(value)) && !strings.Contains(p.Error(), "goroutine ")
	}
}
