package readthrough

import (
	"context"
	"fmt"
	"time"
)

// Load is what a load function can say about an entry that it is loading, and ask
// about the one that it will replace. Get it from [LoadOf]. All methods may be
// called on nil, where they do nothing, so that a load function also works
// outside of the cache; they are safe for concurrent use, until the load function
// has returned.
type Load struct{ flight *flight }

// LoadOf returns the load of key, for the load function that ctx was given to, or
// nil if that is not loading key: because ctx is not from the cache, or because
// the call is for other keys. In a bulk load, each id has its own.
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

// decide runs change under the lock of the decisions.
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

// SetTTL replaces the TTL of this entry, whether it is a value or an absence. It
// must be positive, or [NoExpiry]; if it is not, the load fails.
func (l *Load) SetTTL(ttl time.Duration) {
	l.decide(func(d *decisions) {
		if ttl <= 0 {
			d.err = fmt.Errorf("readthrough: Load.SetTTL: %v: must be positive, or NoExpiry", ttl)
		}
		d.ttl = ttl
	})
}

// DoNotStore serves what is loaded to those who wait for it, and does not store
// it. What is stored under the key, if anything, stays.
func (l *Load) DoNotStore() { l.decide(func(d *decisions) { d.unstored = true }) }

// SetValidator stores with the value what the source knows this version of it by,
// such as an ETag. A byte string.
func (l *Load) SetValidator(validator string) {
	l.decide(func(d *decisions) { d.validator, d.isValidator = validator, true })
}

// Validator returns the validator of the value that this load will replace; "" if
// there is no value, or it has none.
func (l *Load) Validator() string {
	if l == nil || l.flight.old == nil {
		return ""
	}
	return l.flight.old.Validator
}

// NotModified says that the value which this load would replace is still right.
// It gets a new TTL, and its validator stays if no other is set; what the load
// function returns for the key is not used. A store with leases does not even get
// it again. If there is no such value, the load fails.
func (l *Load) NotModified() {
	l.decide(func(d *decisions) {
		d.unmodified = true
		if l.flight.old == nil {
			d.err = fmt.Errorf("readthrough: Load.NotModified: key %q: there is no value that this load would replace", clip(l.flight.key))
		}
	})
}

// OldValue returns the value that the load will replace. ok is false if there is
// none, or none of that type.
func OldValue[T any](l *Load) (value T, ok bool) {
	if l == nil || l.flight.old == nil {
		return value, false
	}
	value, err := valueOf[T](l.flight.old.Value)
	return value, err == nil
}
