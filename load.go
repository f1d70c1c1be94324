package readthrough

import (
	"context"
	"fmt"
	"time"
)

// Load is what a load function can say about an entry that it is loading, and ask about the one
// that it will replace. Get it from [LoadOf]. All methods do nothing on nil, so a load function
// also works outside of the cache. They are safe for concurrent use, until the load function has
// returned.
type Load struct{ flight *flight }

// LoadOf returns the load of key. ctx is the context that the load function got, or one made from
// it. LoadOf returns nil if ctx is not from the cache, or if the load is for other keys. In a bulk
// load, each id has its own Load.
//
//	func (r *Repository) Get(ctx context.Context, id string) (*Page, error) {
//		load := readthrough.LoadOf(ctx, pageKey(id))
//		page, modified, err := r.fetch(ctx, id, load.Validator())
//		if err == nil && !modified {
//			load.NotModified()
//		}
//		…
func LoadOf(ctx context.Context, key string) *Load {
	if ctx == nil {
		return nil
	}
	c := parentCall(ctx)
	if c == nil {
		return nil
	}
	if f := c.flightOf(key); f != nil {
		return &Load{flight: f}
	}
	return nil
}

// decide runs change under the lock of the decisions. change is never code of the user.
func (l *Load) decide(change func(d *decisions)) {
	if l == nil {
		return
	}
	l.flight.call.deciding.Lock()
	defer l.flight.call.deciding.Unlock()
	if l.flight.decided == nil {
		l.flight.decided = new(decisions)
	}
	change(l.flight.decided)
}

// SetTTL replaces the TTL of this entry, whether it becomes a value or an absence. Jitter shortens
// it, too. Zero and negative mean that the entry is over already, as a source says by max-age=0 (RFC
// 9111): it is served to the readers that wait for it and not stored, and the entry that it would
// replace is removed. Example: 5 * time.Second.
func (l *Load) SetTTL(ttl time.Duration) {
	l.decide(func(d *decisions) { d.ttl, d.isTTL = ttl, true })
}

// DoNotStore gives what is loaded, or the error of the load, to the reader that began the load, and to nobody
// else: it is not stored, and readers that have joined the load load for themselves. It is for what only this reader
// may see, such as a read inside of a transaction that is not committed. What is stored under the
// key, if anything, stays.
func (l *Load) DoNotStore() { l.decide(func(d *decisions) { d.unstored = true }) }

// SetValidator stores with the value how the source names this version of it, such as the ETag of
// RFC 9110: "v7". It is a byte string, and may be empty.
func (l *Load) SetValidator(validator string) {
	l.decide(func(d *decisions) { d.validator, d.isValidator = validator, true })
}

// Validator returns the validator of the value that this load will replace; "" if there is no
// value, or if it has none.
func (l *Load) Validator() string {
	if l == nil || l.flight.old == nil {
		return ""
	}
	return l.flight.old.Validator
}

// NotModified says that the value which this load would replace is still right, as the status 304
// of RFC 9110 does. The value gets a new TTL. Its validator stays if no other is set. What the load
// function returns for the key is not used, and a store with leases does not get the value again.
// If there is no such value, the load fails.
func (l *Load) NotModified() {
	l.decide(func(d *decisions) {
		d.unmodified = true
		if l.flight.old == nil {
			d.err = fmt.Errorf("readthrough: Load.NotModified: key %q: there is no value that this load would replace", clip(l.flight.key))
		}
	})
}

// OldValue returns the value that the load will replace. ok is false if there is none, or if it is
// not a T.
func OldValue[T any](l *Load) (value T, ok bool) {
	if l == nil || l.flight.old == nil {
		return value, false
	}
	value, err := valueOf[T](l.flight.old.Value)
	return value, err == nil
}
