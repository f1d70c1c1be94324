package readthrough

import (
	"context"

	"github.com/readthrough/readthrough/internal/backend"
)

// directive is a value of a context: what calls with the context do otherwise.
type directive struct {
	engine *engine
	// batch takes the invalidations of the context; nil: the context only bypasses the cache.
	batch *Batch
	// onlyWrites: reads go through the cache, except those of keys that the batch has.
	onlyWrites bool
	// outer is the directive that the context had before.
	outer *directive
}

// directiveKey is the key of the *directive in a context.
type directiveKey struct{}

// with returns ctx with a directive. From then on, reads of the cache look for directives in their contexts.
func (e *engine) with(ctx context.Context, d directive) context.Context {
	d.engine = e
	d.outer = directiveOf(ctx)
	return context.WithValue(ctx, directiveKey{}, &d)
}

// directiveOf returns the innermost directive of ctx; nil: there is none.
func directiveOf(ctx context.Context) *directive {
	if d, ok := ctx.Value(directiveKey{}).(*directive); ok {
		return d
	}
	return nil
}

// Bypass returns a context whose reads bypass the cache: their load functions run in the goroutine of the
// caller, with its context. Nothing is taken from the store, stored, or shared with other readers, and no
// option of the scope has an effect on the load. It is for a reader that must see the source itself. ctx must
// not be nil. Invalidations and writes are not changed.
//
// The first call makes each later read of the cache look for a value in its context, which costs some
// nanoseconds.
func (c *Cache) Bypass(ctx context.Context) context.Context {
	if !c.isMade() || ctx == nil {
		return ctx
	}
	if c.bypassed.CompareAndSwap(false, true) {
		c.directives.Add(1)
	}
	return c.with(ctx, directive{})
}

// isDirect reports whether a read of key with ctx bypasses the cache. It is called for every read, and costs
// one atomic load unless some context may have a directive.
func (s *keyspace) isDirect(ctx context.Context, key string) bool {
	return s.directives.Load() != 0 && s.readsDirectly(ctx, key)
}

// readsDirectly is the rare part of isDirect.
func (s *keyspace) readsDirectly(ctx context.Context, key string) bool {
	for d := directiveOf(ctx); d != nil; d = d.outer {
		switch {
		case d.engine != s.engine:
		case d.batch == nil:
			return true
		case d.batch.isOpen():
			return !d.onlyWrites || d.batch.has(s, key)
		}
	}
	return false
}

// collector returns the open batch that takes the invalidations with ctx; nil: there is none.
func (e *engine) collector(ctx context.Context) *Batch {
	if e.directives.Load() == 0 {
		return nil
	}
	for d := directiveOf(ctx); d != nil; d = d.outer {
		if d.engine == e && d.batch != nil && d.batch.isOpen() {
			return d.batch
		}
	}
	return nil
}

// direct runs the load function of a read that bypasses the cache. An absence is the same error as with the
// cache.
func direct[T any](ctx context.Context, s *keyspace, load func(context.Context) (T, error)) (T, error) {
	s.stats.bypassed.Add(1)
	value, err := load(ctx)
	if err = backend.Sane(err); err == nil {
		return value, nil
	}
	if s.isNotFound(err) {
		err = s.absence(err)
	}
	var none T
	return none, err
}
