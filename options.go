package readthrough

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// NoExpiry is the TTL of entries that do not expire: they live until they are
// invalidated or evicted.
const NoExpiry = provider.NoExpiry

// MaxKeyBytes is the length of the longest key and prefix that a scope accepts.
const MaxKeyBytes = 8 << 10

const (
	maxScopeNameBytes = 128

	defaultProviderTimeout   = 50 * time.Millisecond
	defaultInvalidateTimeout = time.Second
	defaultBreakerFailures   = 5
	defaultBreakerCooldown   = time.Second
	defaultLeaseTTL          = 10 * time.Second
	defaultLeaseWait         = 200 * time.Millisecond
	defaultMaxPending        = 10_000
	defaultNegativeTTL       = 5 * time.Second
	defaultJitter            = 0.1
)

// Options configure a [Cache]. The zero value is the recommended configuration.
type Options struct {
	// OnError is told of everything that went wrong and did not fail a read: op
	// is what the cache was doing, key the key or prefix, empty where many are
	// concerned. It is called from the goroutine that met the error, while others
	// may wait for that: it must not block, and not call the cache. nil logs with [log/slog] at warn level, at most one line a second
	// and op, each with the number of errors that it stands for.
	OnError func(op Op, scope, key string, err error)

	// Observer is told of every read, load and invalidation. nil costs nothing.
	Observer Observer

	// ProviderTimeout bounds every read and fill of the store. Zero means 50 ms;
	// negative is an error. It does not apply to a store in the process.
	ProviderTimeout time.Duration

	// InvalidateTimeout bounds every deletion from the store. Zero means 1 s;
	// negative is an error. It does not apply to a store in the process.
	InvalidateTimeout time.Duration

	// BreakerFailures is the number of failures in a row after which the store is
	// left alone for a while: reads load, invalidations are pending. Zero means
	// 5; negative means that the store is always asked.
	BreakerFailures int

	// BreakerCooldown is for how long the store is left alone before one call
	// tries it again. Zero means 1 s; negative is an error.
	BreakerCooldown time.Duration

	// LeaseTTL is for how long a lease on a key lasts whose holder has gone, in a
	// store with leases. A load that takes longer is served and not stored. Zero
	// means 10 s; negative is an error. A scope with a longer LoadTimeout has
	// leases of that length.
	LeaseTTL time.Duration

	// LeaseWait bounds how long a read waits for another process that has the
	// lease of the key, before it loads without filling. Zero means 200 ms;
	// negative means that it does not wait.
	LeaseWait time.Duration

	// MaxPending bounds the pending invalidations of a scope, keys and prefixes
	// together. Past it, the whole scope is bypassed and invalidated once the
	// store answers again. Zero means 10,000; negative is an error.
	MaxPending int

	_ struct{}
}

// withDefaults returns a copy with the defaults filled in, or an error that
// names every field with a bad value.
func (o Options) withDefaults() (Options, error) {
	err := errors.Join(
		notNegative("Options.ProviderTimeout", o.ProviderTimeout),
		notNegative("Options.InvalidateTimeout", o.InvalidateTimeout),
		notNegative("Options.BreakerCooldown", o.BreakerCooldown),
		notNegative("Options.LeaseTTL", o.LeaseTTL),
		notNegative("Options.MaxPending", o.MaxPending),
	)
	orDefault(&o.ProviderTimeout, defaultProviderTimeout)
	orDefault(&o.InvalidateTimeout, defaultInvalidateTimeout)
	orDefault(&o.BreakerFailures, defaultBreakerFailures)
	orDefault(&o.BreakerCooldown, defaultBreakerCooldown)
	orDefault(&o.LeaseTTL, defaultLeaseTTL)
	orDefault(&o.LeaseWait, defaultLeaseWait)
	orDefault(&o.MaxPending, defaultMaxPending)
	return o, err
}

// ScopeOptions are the defaults of a [CachedScope]. TTL is required.
type ScopeOptions struct {
	// TTL is how long a loaded value is served. It must be positive; a scope
	// whose entries shall not expire says so with [NoExpiry].
	TTL time.Duration

	// NegativeTTL is how long an absence is served. Zero means 5 s, or TTL if
	// that is less; it is never more than the TTL of the call. Negative means
	// that absences are not cached.
	NegativeTTL time.Duration

	// Jitter is the largest part of every TTL by which it is shortened, at
	// random, so that entries filled together do not expire together: from 0 to
	// 1. Zero means 0.1; negative means none.
	Jitter float64

	// LoadTimeout bounds every load. A load that takes longer is cancelled, its
	// readers get [ErrLoadTimeout] at once, and what it returns later is not
	// used. Zero means that loads are not bounded; negative is an error.
	LoadTimeout time.Duration

	// ReplicaLag is how far behind the source may be that load functions read
	// from, if that is a replica. For so long after an invalidation, what is loaded
	// for its targets is served and not stored, so that an old value is read for
	// no longer than the replica has it. Zero means that the source does not lag;
	// negative is an error. In a store with holds it costs the invalidation of a
	// prefix one round trip more.
	ReplicaLag time.Duration

	// NotFound is the error by which the scope's load functions say that the
	// source has nothing under a key, so that a repository can keep its own. It
	// comes back on reads of a cached absence. nil means [ErrNotFound], which is
	// understood in every case. It must be comparable, and not a nil pointer.
	NotFound error

	_ struct{}
}

func (o ScopeOptions) withDefaults() (ScopeOptions, error) {
	err := errors.Join(
		notNegative("ScopeOptions.LoadTimeout", o.LoadTimeout),
		notNegative("ScopeOptions.ReplicaLag", o.ReplicaLag),
		o.checkTTL(), o.checkJitter(), o.checkNotFound(),
	)
	if err != nil {
		return o, err
	}
	orDefault(&o.NegativeTTL, min(o.TTL, defaultNegativeTTL))
	orDefault(&o.Jitter, defaultJitter)
	if o.NotFound == nil {
		o.NotFound = ErrNotFound
	}
	return o, nil
}

func (o ScopeOptions) checkTTL() error {
	if o.TTL <= 0 {
		return fmt.Errorf("readthrough: ScopeOptions.TTL: %v: must be positive, or NoExpiry", o.TTL)
	}
	return nil
}

func (o ScopeOptions) checkJitter() error {
	if o.Jitter <= 1 { // false for NaN
		return nil
	}
	return fmt.Errorf("readthrough: ScopeOptions.Jitter: %v: must not be more than 1", o.Jitter)
}

func (o ScopeOptions) checkNotFound() error {
	switch {
	case o.NotFound == nil:
		return nil
	case isNil(o.NotFound): // whose methods may panic
		return fmt.Errorf("readthrough: ScopeOptions.NotFound: must not be a nil %T", o.NotFound)
	case !reflect.ValueOf(o.NotFound).Comparable():
		return fmt.Errorf("readthrough: ScopeOptions.NotFound: %T: must be comparable", o.NotFound)
	default:
		return nil
	}
}

// CallOption changes one call of [Wrap], [WrapMany], [Memoize] or
// [MemoizeMany].
type CallOption struct {
	ttl    time.Duration
	hasTTL bool
}

// TTL replaces [ScopeOptions.TTL] for the values that this call loads. It must
// be positive, or [NoExpiry]. Readers that join a load of another call get that
// call's TTL.
func TTL(ttl time.Duration) CallOption {
	return CallOption{ttl: ttl, hasTTL: true}
}

// lifetimes are the TTLs of one call, before jitter.
type lifetimes struct {
	value  time.Duration
	absent time.Duration // not positive: absences are not stored
}

// lifetimes returns the TTLs of a call with options.
func (o ScopeOptions) lifetimes(options []CallOption) (lifetimes, error) {
	l := lifetimes{value: o.TTL, absent: o.NegativeTTL}
	for _, option := range options {
		if !option.hasTTL {
			continue
		}
		if option.ttl <= 0 {
			return l, fmt.Errorf("readthrough: TTL: %v: must be positive, or NoExpiry", option.ttl)
		}
		l.value = option.ttl
	}
	l.absent = min(l.absent, l.value)
	return l, nil
}

// jittered returns ttl shortened by a random part of at most o.Jitter.
func (o ScopeOptions) jittered(ttl time.Duration) time.Duration {
	if o.Jitter <= 0 || ttl == NoExpiry {
		return ttl
	}
	return max(1, ttl-time.Duration(rand.Float64()*o.Jitter*float64(ttl)))
}

func notNegative[N time.Duration | int](field string, n N) error {
	if n < 0 {
		return fmt.Errorf("readthrough: %s: %v: must not be negative", field, n)
	}
	return nil
}

func orDefault[N comparable](field *N, value N) {
	var zero N
	if *field == zero {
		*field = value
	}
}
