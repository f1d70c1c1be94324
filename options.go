package readthrough

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// ages reports whether entries of the scope end before they leave the store, or
// are looked at before they end.
func (o *ScopeOptions) ages() bool {
	return o.staleFor() > 0 || o.loadsAhead()
}

// staleFor returns for how long after its TTL a value stays in the store.
func (o *ScopeOptions) staleFor() time.Duration {
	return max(o.StaleWhileRevalidate, o.StaleIfError)
}

// loadsAhead reports whether values are loaded before they expire.
func (o *ScopeOptions) loadsAhead() bool {
	return o.RefreshAheadFactor > 0 || o.XFetchBeta > 0
}

// checkStale returns an error for every bad value of the options about stale
// values and early loads, and for those that would have no effect.
func (o *ScopeOptions) checkStale() error {
	errs := []error{
		notNegative("ScopeOptions.StaleWhileRevalidate", o.StaleWhileRevalidate),
		notNegative("ScopeOptions.StaleIfError", o.StaleIfError),
		notNegative("ScopeOptions.SoftLoadTimeout", o.SoftLoadTimeout),
		notNegative("ScopeOptions.RetryAfter", o.RetryAfter),
		notNegative("ScopeOptions.ErrorTTL", o.ErrorTTL),
	}
	refuse := func(when bool, field string, value any, problem string) {
		if when {
			errs = append(errs, fmt.Errorf("readthrough: ScopeOptions.%s: %v: %s", field, value, problem))
		}
	}
	refuse(!(o.RefreshAheadFactor >= 0 && o.RefreshAheadFactor < 1), "RefreshAheadFactor", o.RefreshAheadFactor, "must be at least 0 and less than 1")
	refuse(!(o.XFetchBeta >= 0 && o.XFetchBeta <= math.MaxFloat64), "XFetchBeta", o.XFetchBeta, "must be a number that is not negative")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	refuse(o.StaleIfError > 0 && o.StaleIfError <= o.StaleWhileRevalidate, "StaleIfError", o.StaleIfError, "has no effect: must be longer than StaleWhileRevalidate")
	refuse(o.SoftLoadTimeout > 0 && o.StaleIfError == 0, "SoftLoadTimeout", o.SoftLoadTimeout, "has no effect without StaleIfError")
	refuse(o.LoadTimeout > 0 && o.SoftLoadTimeout >= o.LoadTimeout, "SoftLoadTimeout", o.SoftLoadTimeout, "has no effect: must be less than LoadTimeout")
	refuse(o.RefreshAheadFactor > 0 && o.XFetchBeta > 0, "XFetchBeta", o.XFetchBeta, "is an alternative to RefreshAheadFactor: choose one")
	refuse(o.RetryAfter > 0 && !o.ages(), "RetryAfter", o.RetryAfter, "has no effect without StaleWhileRevalidate, StaleIfError, RefreshAheadFactor or XFetchBeta")
	refuse(o.TTL == NoExpiry && o.ages(), "TTL", "NoExpiry", "has no effect together with StaleWhileRevalidate, StaleIfError, RefreshAheadFactor or XFetchBeta")
	return errors.Join(errs...)
}

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
	defaultRetryAfter        = time.Second
)

// Options configure a [Cache]. The zero value is the recommended configuration.
type Options struct {
	// OnError is told of every error that did not fail a read. It is called from the
	// goroutine that met the error, so it must be safe for concurrent use and should
	// not block. It may use the cache, but must not close it. nil logs with [log/slog]
	// at warn level: at most one line a second for each operation, with the number of
	// errors that were not logged before it.
	OnError func(err *OpError)

	// Observer is told of reads, loads and invalidations. Its functions that are nil
	// cost nothing.
	Observer Observer

	// ProviderTimeout bounds every request to the store that reads or fills, such as
	// 20*time.Millisecond. A bulk call is sent in requests of up to 256 keys, each with
	// this time. A request that stores large values has more: a second for every 10 MiB.
	// Zero means 50 ms; negative is an error. It does not apply to a store in the
	// process.
	ProviderTimeout time.Duration

	// InvalidateTimeout bounds every request to the store that removes or holds, such
	// as 2*time.Second. An invalidation of many keys is sent in requests of up to 1,000
	// keys, each with this time. Zero means 1 s; negative is an error. It does not apply
	// to a store in the process.
	InvalidateTimeout time.Duration

	// BreakerFailures is the number of failures in a row after which the store is
	// left alone for a while: reads load, invalidations are pending. Zero means
	// 5; negative means that the store is always asked.
	BreakerFailures int

	// BreakerCooldown is for how long the store is left alone before one call
	// tries it again. Zero means 1 s; negative is an error.
	BreakerCooldown time.Duration

	// LeaseTTL is for how long a lease on a key lasts whose holder has gone, in a
	// store with leases. Leases are renewed while their load runs, if the store is a
	// [provider.Renewer]; in another store, a load that takes longer is served and not
	// stored, which [Stats.LostLeases] counts. Zero means 10 s; negative is an error. A
	// scope with a longer LoadTimeout has leases of that length.
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

	// StaleWhileRevalidate is for how long after its TTL a value is still served
	// at once, while a load in the background replaces it (RFC 5861): one for each
	// key in the process and, in a store with leases, one in all processes. Zero
	// means not at all; negative is an error. Absences are never served stale.
	StaleWhileRevalidate time.Duration

	// StaleIfError is for how long after its TTL a value is still kept for reads
	// whose load fails (RFC 5861); they get the value instead of the error. It
	// must be longer than StaleWhileRevalidate, which needs no failure. Zero means
	// not at all; negative is an error.
	StaleIfError time.Duration

	// SoftLoadTimeout is how long a load may take before reads that wait for it
	// get the value that is kept because of StaleIfError, if there is one. The load
	// goes on in the background, and its result is stored. It must be less than
	// LoadTimeout, which bounds the load itself. Zero means that they wait;
	// negative is an error.
	SoftLoadTimeout time.Duration

	// RefreshAheadFactor is the part of its TTL after which a value that is read is
	// loaded again in the background, so that one that is read often never
	// expires: more than 0 and less than 1. Zero means that nothing is loaded
	// ahead of time.
	RefreshAheadFactor float64

	// XFetchBeta loads values ahead of time like RefreshAheadFactor, of which it
	// is the alternative, but at random: the sooner, the longer the load of the
	// value took and the more often it is read (Vattani et al., "Optimal
	// Probabilistic Cache Stampede Prevention", VLDB 2015). 1 is the factor for
	// which they prove it optimal; more loads earlier. Zero means not at all;
	// negative is an error.
	XFetchBeta float64

	// RetryAfter is how long the source is not asked again for a key whose load
	// has failed, while there is a value that can be served instead. It doubles
	// with every failure of the key in a row, to 16 times at most. Each process
	// counts for itself. Zero means 1 s; negative is an error.
	RetryAfter time.Duration

	// ErrorTTL is how long the error of a load is returned to reads for which there
	// is no value, without asking the source again. It doubles like RetryAfter. A
	// process never gets the errors of another. Zero means that every such read
	// loads; negative is an error.
	ErrorTTL time.Duration

	// MaxLoads is how many loads of the scope run at once in this process; a bulk
	// load is one. Further ones wait in order of their arrival, which LoadTimeout
	// includes, and reads that have a value because of StaleIfError take that
	// instead. Loads in the background do not wait: without a place they are tried
	// again later. Loads that others wait for inside their load functions do not wait
	// for those. Zero means that there is no limit; negative is an error.
	MaxLoads int

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

// fillDefaults puts the defaults in, or returns an error that names every field
// with a bad value.
func (o *ScopeOptions) fillDefaults() error {
	err := errors.Join(
		notNegative("ScopeOptions.LoadTimeout", o.LoadTimeout),
		notNegative("ScopeOptions.ReplicaLag", o.ReplicaLag),
		notNegative("ScopeOptions.MaxLoads", o.MaxLoads),
		o.checkTTL(), o.checkJitter(), o.checkNotFound(),
		o.checkStale(),
	)
	if err != nil {
		return err
	}
	orDefault(&o.RetryAfter, defaultRetryAfter)
	orDefault(&o.NegativeTTL, min(o.TTL, defaultNegativeTTL))
	orDefault(&o.Jitter, defaultJitter)
	if o.NotFound == nil {
		o.NotFound = ErrNotFound
	}
	return nil
}

func (o *ScopeOptions) checkTTL() error {
	if o.TTL <= 0 {
		return fmt.Errorf("readthrough: ScopeOptions.TTL: %v: must be positive, or NoExpiry", o.TTL)
	}
	return nil
}

func (o *ScopeOptions) checkJitter() error {
	if o.Jitter <= 1 { // false for NaN
		return nil
	}
	return fmt.Errorf("readthrough: ScopeOptions.Jitter: %v: must not be more than 1", o.Jitter)
}

func (o *ScopeOptions) checkNotFound() error {
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

// ttls are the TTLs of one call, before jitter.
type ttls struct {
	value  time.Duration
	absent time.Duration // not positive: absences are not stored
}

// of returns how long entry may be stored; not positive: not at all.
func (l ttls) of(entry *provider.Entry) time.Duration {
	if entry.Absent {
		return l.absent
	}
	return l.value
}

// ttls returns the TTLs of a call with options.
func (o *ScopeOptions) ttls(options []CallOption) (ttls, error) {
	l := ttls{value: o.TTL, absent: o.NegativeTTL}
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
func (o *ScopeOptions) jittered(ttl time.Duration) time.Duration {
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
