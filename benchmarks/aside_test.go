package benchmarks

import (
	"context"
	"testing"

	"golang.org/x/sync/singleflight"
)

// plain is a cache without loads of its own.
type plain interface {
	get(key string) (*record, bool)
	set(key string, r *record)
	invalidate(ctx context.Context, key string) error
	settle()
	close()
}

// readAside reads through a plain cache in the simplest way: who misses loads and
// stores, however many do at the same time.
type readAside struct {
	plain

	source source
}

func (a readAside) read(ctx context.Context, key string) (*record, error) {
	if r, ok := a.get(key); ok {
		return r, nil
	}
	r, err := a.source.load(ctx, key)
	if err == nil {
		a.set(key, r)
	}
	return r, err
}

func (a readAside) readMany(ctx context.Context, keys []string) (map[string]*record, error) {
	found := make(map[string]*record, len(keys))
	var missing []string
	for _, key := range keys {
		if r, ok := a.get(key); ok {
			found[key] = r
		} else {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	loaded, err := a.source.loadMany(ctx, missing)
	for key, r := range loaded {
		a.set(key, r)
		found[key] = r
	}
	return found, err
}

// readOnce is readAside with one load for all who want a key at the same time.
type readOnce struct {
	readAside

	group singleflight.Group
}

func newReadOnce(p plain, s source) *readOnce { return &readOnce{readAside: readAside{p, s}} }

func (o *readOnce) read(ctx context.Context, key string) (*record, error) {
	if r, ok := o.get(key); ok {
		return r, nil
	}
	got, err, _ := o.group.Do(key, func() (any, error) { return o.readAside.read(ctx, key) })
	return recordOf(got, err)
}

// recordOf returns what a group has brought.
func recordOf(got any, err error) (*record, error) {
	r, ok := got.(*record)
	if !ok && err == nil {
		panic("the group returned something else")
	}
	return r, err
}

func (*readOnce) loadsOnce() {}

// readLeaving is readOnce whose readers can leave: the load is everybody's, runs in a
// goroutine of its own, and goes on when the context of the first of them ends.
type readLeaving struct {
	readAside

	group singleflight.Group
}

func (l *readLeaving) read(ctx context.Context, key string) (*record, error) {
	if r, ok := l.get(key); ok {
		return r, nil
	}
	results := l.group.DoChan(key, func() (any, error) {
		return l.readAside.read(context.WithoutCancel(ctx), key)
	})
	select {
	case result := <-results:
		return recordOf(result.Val, result.Err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (*readLeaving) loadsOnce() {}

// leaving is a library with a single flight around its plain cache whose readers can
// leave.
func leaving(open func(b *testing.B, entries int) plain) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, entries int, s source) cache {
		b.Helper()
		return &readLeaving{readAside: readAside{open(b, entries), s}}
	}
}

// once is a library with a single flight around its plain cache.
func once(open func(b *testing.B, entries int) plain) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, entries int, s source) cache {
		b.Helper()
		return newReadOnce(open(b, entries), s)
	}
}
