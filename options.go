package readthrough

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// ages reports whether entries of the scope have an end of their own (FreshUntil): because they
// stay in the store beyond it, or because reads look at it before.
func (o *ScopeOptions) ages() bool {
	return o.staleFor() > 0 || o.loadsAhead()
}

// staleFor returns how long after its TTL a value stays in the store.
func (o *ScopeOptions) staleFor() time.Duration {
	return max(o.StaleWhileRevalidate, o.StaleIfError)
}

// loadsAhead reports whether values are loaded before they expire.
func (o *ScopeOptions) loadsAhead() bool {
	return o.RefreshAheadFactor > 0 || o.XFetchBeta > 0
}

// checkStale returns an error for every bad value of the options about stale values and early
// loads. If there is none, it returns one for each option that would have no effect: an option that
// does nothing is a mistake of the caller.
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

// NoExpiry is the TTL of entries that do not expire. They live until they are invalidated or
// evicted.
const NoExpiry = provider.NoExpiry

// MaxKeyBytes is the length in bytes of the longest key and the longest prefix that a scope
// accepts.
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
	defaultCloseTimeout      = 3 * time.Second
	defaultSampleRecheck     = time.Second
	defaultSampleLoads       = 4
	defaultSampleRate        = 10
	defaultNegativeTTL       = 5 * time.Second
	defaultJitter            = 0.1
	defaultRetryAfter        = time.Second
)

// Options configure a [Cache]. The zero value is the recommended configuration. [New] copies the
// options; changes made afterwards have no effect.
//
// ProviderTimeout, InvalidateTimeout and the breaker have no effect on a store in the process (such
// as memory), and the two lease options none on a store without leases. docs/options.md has all
// options in one table.
type Options struct {
	// OnError is told of every error that did not fail a read. The work that met the error waits for
	// it, so it should not block, and it must be safe for concurrent use. It may use the cache, and
	// close it. Its panics and Goexits go no further. nil logs with [log/slog] at warn level: at most
	// one line a second for each operation, with the number of errors that were not logged before it.
	// A line has at most 512 bytes of an error, no part of a value, and no key (but see LogKeys).
	// Example:
	//
	//	OnError: func(err *readthrough.OpError) { failures.WithLabelValues(err.Op).Inc() },
	OnError func(err *OpError)

	// LogKeys has the default OnError log keys, too: by default it does not, since a key may be that of a
	// person. Values are never logged. It has no effect on an OnError of your own. Example: true.
	LogKeys bool

	// Logger gets the lines that somebody has to know of: one when the store is out of reach, with the
	// cause and the address, one when it is back, with how long it was away, and one a second for each
	// scope while invalidations are not confirmed. These name no keys. The default OnError logs to it,
	// too. nil means [slog.Default] at the time of [New]. Example: slog.New(slog.DiscardHandler).
	Logger *slog.Logger

	// Observer is told of reads, loads and invalidations. Its functions that are nil cost nothing.
	// The zero value observes nothing. Example:
	//
	//	Observer: readthrough.Observer{LoadEnd: recordLoad},
	Observer Observer

	// ProviderTimeout bounds every request to the store that reads or fills. It is also how long an
	// invalidation may wait for a fill under way. A bulk call is sent in requests of up to 256
	// keys, each with this time. A request that stores large values has more: a second for every
	// 10 MiB. While this process is short of processor time, requests have more, too: as long as
	// their goroutines may wait for a processor, up to nine times ProviderTimeout in all. Zero means
	// 50 ms; negative is an error. Example: 20 * time.Millisecond.
	ProviderTimeout time.Duration

	// InvalidateTimeout bounds every request to the store that removes or holds, and every
	// inspection ([CachedScope.Has]). An invalidation of many keys is sent in requests of up to
	// 1,000 keys, each with this time. The keys that the store does not confirm are pending. Zero
	// means 1 s; negative is an error. Example: 2 * time.Second.
	InvalidateTimeout time.Duration

	// BreakerFailures is the number of failures in a row that open the breaker. While it is open,
	// the store is not asked: reads load, and invalidations are pending. A server that says that it
	// is a replica opens it at once ([provider.ErrReadOnly]). After as many writes in a row that a
	// store refuses ([provider.ErrRefused]), the cache reads from it and does not fill. If a request
	// has timed out while this process was short of processor time, it counts as a fourth of a
	// failure. Zero means 5; negative means that neither happens, except for a replica. Example: 3.
	BreakerFailures int

	// BreakerCooldown is how long the breaker stays open. Then it is half-open: one request at a
	// time asks the store, until one succeeds and closes it. Zero means 1 s; negative is an error.
	// Example: 5 * time.Second.
	BreakerCooldown time.Duration

	// LeaseTTL is how long a lease lasts that its process neither fills nor releases, in a store
	// with leases. Leases are renewed while their load runs, if the store is a
	// [provider.Renewer]. In another store, a load that takes longer is served and not stored,
	// which [Stats.LostLeases] counts. Zero means 10 s; negative is an error. A scope with a longer
	// LoadTimeout has leases of that length. Example: 30 * time.Second.
	LeaseTTL time.Duration

	// LeaseWait bounds how long a read waits for another process that has the lease of the key.
	// After it the read loads, and its load is not stored. Zero means 200 ms; negative means that
	// it does not wait. Example: time.Second.
	LeaseWait time.Duration

	// SampleEqual compares what is cached under a key of a scope with what the source has, for
	// [ScopeOptions.SampleOneIn]. It is called with values of the type that is read, in the background and
	// from several goroutines. nil means [reflect.DeepEqual]. Set it, if two loads of the same state differ:
	// in a time of reading, or in an order. Example:
	//
	//	SampleEqual: func(scope string, cached, fresh any) bool { return cached.(Order).Version == fresh.(Order).Version },
	SampleEqual func(scope string, cached, fresh any) bool

	// SampleRecheck is after how long a difference that a sample has found is looked at again. Until then, a
	// change may be on its way. It should be longer than a write and its invalidation take together. Zero means
	// 1 s; negative is an error. Example: 5 * time.Second.
	SampleRecheck time.Duration

	// SampleLoads is how many samples are under way at once, in all scopes: each has one load at a time. What
	// is too much is left out. Zero means 4; negative is an error. Example: 1.
	SampleLoads int

	// SampleRate is how many samples begin in a second at most, in all scopes. Zero means 10; negative is an
	// error. Example: 100.
	SampleRate int

	// MaxPending bounds the pending invalidations of a scope, keys and prefixes together. Past it,
	// or past 64 pending prefixes, the whole scope is pending: it is bypassed, and it is
	// invalidated as a whole when the store answers again. Zero means 10,000; negative is an error.
	// Example: 1_000.
	MaxPending int

	// CloseTimeout bounds the last try of pending invalidations in [Cache.Close], for all scopes
	// together. Zero means 3 s; negative is an error. Example: time.Second.
	CloseTimeout time.Duration

	_ struct{}
}

// withDefaults returns a copy with the defaults, or an error that names every field with a bad
// value.
func (o Options) withDefaults() (Options, error) {
	err := errors.Join(
		notNegative("Options.ProviderTimeout", o.ProviderTimeout),
		notNegative("Options.InvalidateTimeout", o.InvalidateTimeout),
		notNegative("Options.BreakerCooldown", o.BreakerCooldown),
		notNegative("Options.LeaseTTL", o.LeaseTTL),
		notNegative("Options.MaxPending", o.MaxPending),
		notNegative("Options.CloseTimeout", o.CloseTimeout),
		notNegative("Options.SampleRecheck", o.SampleRecheck),
		notNegative("Options.SampleLoads", o.SampleLoads),
		notNegative("Options.SampleRate", o.SampleRate),
	)
	if o.LogKeys && o.OnError != nil {
		err = errors.Join(err, errors.New("readthrough: Options.LogKeys: true: has no effect together with OnError"))
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	orDefault(&o.ProviderTimeout, defaultProviderTimeout)
	orDefault(&o.InvalidateTimeout, defaultInvalidateTimeout)
	orDefault(&o.BreakerFailures, defaultBreakerFailures)
	orDefault(&o.BreakerCooldown, defaultBreakerCooldown)
	orDefault(&o.LeaseTTL, defaultLeaseTTL)
	orDefault(&o.LeaseWait, defaultLeaseWait)
	orDefault(&o.MaxPending, defaultMaxPending)
	orDefault(&o.CloseTimeout, defaultCloseTimeout)
	orDefault(&o.SampleRecheck, defaultSampleRecheck)
	orDefault(&o.SampleLoads, defaultSampleLoads)
	orDefault(&o.SampleRate, defaultSampleRate)
	return o, err
}

// ScopeOptions are the options of a [CachedScope]. TTL is required; every other zero value is a
// working default. docs/serving.md explains how the options work together. Durations are exact to
// the nanosecond.
type ScopeOptions struct {
	// TTL is how long a loaded value is served. It must be at least a millisecond. [NoExpiry] means that
	// entries do not expire. Zero and negative are errors. Example: 15 * time.Second.
	TTL time.Duration

	// NegativeTTL is how long an absence is served. It is never more than the TTL of the call. It must
	// be at least a millisecond, if it is positive. Zero means 5 s, or TTL if that is less; negative
	// means that absences are not cached. Example: time.Second.
	NegativeTTL time.Duration

	// Jitter is the largest part of a TTL by which it is shortened at random, so that entries that
	// were filled together do not expire together. At most 1. Zero means 0.1; negative means none.
	// Example: with a TTL of 10 s and 0.2, entries expire after 8 to 10 s.
	Jitter float64

	// LoadTimeout bounds every load. A load that takes longer is cancelled. Its readers get
	// [ErrLoadTimeout] at once, and what it returns later is not used. It includes the wait for a
	// place of MaxLoads. Zero means that loads are not bounded, except those that no reader waits for,
	// which end after 5 minutes; negative is an error. Example: 10 * time.Second.
	LoadTimeout time.Duration

	// FinishLoads lets a load whose function runs go on, and store its value, although every reader has left.
	// It ends after LoadTimeout, or after 5 minutes without one. False: the context of the load is cancelled
	// when the last reader leaves. It is for sources that are slower than some readers wait: without it, each
	// of these readers starts a load that is then cancelled, and nothing is ever stored. With it, searches that
	// users give up go on, too. Example: true.
	FinishLoads bool

	// StaleWhileRevalidate is how long after its TTL a value is still served at once, while a load
	// in the background replaces it (RFC 5861, section 3). There is one such load for each key in
	// the process and, in a store with leases, one in all processes. Absences are never served
	// stale. Zero means not at all; negative is an error. Example: 30 * time.Second.
	StaleWhileRevalidate time.Duration

	// StaleIfError is how long after its TTL a value is kept for reads whose load fails (RFC 5861,
	// section 4). They get the value instead of the error. An absence is kept as well. It must be
	// longer than StaleWhileRevalidate, which needs no failure. Zero means not at all; negative is an
	// error. Example: time.Hour.
	StaleIfError time.Duration

	// SoftLoadTimeout is how long a load may take before reads that wait for it get the value that
	// StaleIfError keeps, if there is one. The load goes on in the background, and its result is
	// stored. It must be less than LoadTimeout, which bounds the load itself. Zero means that reads
	// wait for the load; negative is an error. Example: 200 * time.Millisecond.
	SoftLoadTimeout time.Duration

	// RefreshAheadFactor is the part of its TTL after which a read of a value loads it again in the
	// background. So a value that is read often never expires. More than 0 and less than 1. Zero
	// means that nothing is loaded ahead of time; negative is an error. Example: with a TTL of 10 s
	// and 0.8, a read after 8 s starts a load.
	RefreshAheadFactor float64

	// XFetchBeta loads values ahead of time like RefreshAheadFactor, but at random: the longer the
	// load of the value took and the more often it is read, the earlier (Vattani et al., "Optimal
	// Probabilistic Cache Stampede Prevention", VLDB 2015). 1 is the factor that they prove
	// optimal; a larger one loads earlier. It cannot be set together with RefreshAheadFactor. Zero
	// means not at all; negative is an error. Example: 1.
	XFetchBeta float64

	// RetryAfter is how long the source is not asked again for a key whose load has failed, while
	// there is a value that can be served instead. It doubles with every failure of the key in a
	// row, to 16 times at most. Each process counts for itself. Zero means 1 s; negative is an
	// error. Example: 500 * time.Millisecond.
	RetryAfter time.Duration

	// ErrorTTL is how long reads without a value to serve get the error of the last load, without a
	// new load. It doubles like RetryAfter. A process never gets the errors of another process.
	// Zero means that every such read loads; negative is an error. Example: time.Second.
	ErrorTTL time.Duration

	// MaxLoads is how many loads of the scope run at once in this process. A bulk load counts as
	// one. Further loads wait in order of arrival. Reads that have a value because of StaleIfError
	// take it instead of waiting. Loads in the background do not wait: without a place they are
	// tried again later. A load that another load waits for, inside its load function, runs in the
	// place of that one, so nested loads never deadlock, in one scope or across scopes. Zero means
	// that there is no limit; negative is an error. Example: 32.
	MaxLoads int

	// ReplicaLag is how far the source may lag, if load functions read from a replica. For so long
	// after an invalidation, what is loaded for its targets is served and not stored, and only to
	// reads that began before that load. So a read gets an old value only if the replica still had it
	// after the read began. In a store with holds, the invalidation of a prefix costs one round trip
	// more. Zero means that the source does not lag; negative is an error. Example: 2 * time.Second.
	ReplicaLag time.Duration

	// SampleOneIn says that one in so many hits is sampled: what is stored under the key of the hit is then
	// compared with the source, in the background, by one more load. A difference that is still there after
	// Options.SampleRecheck, with the same entry, means that a change was not invalidated: it counts in
	// [Stats.SampledStale], and is told to OnError. Options.SampleRate bounds what that costs the source. It
	// is for scopes whose changes are invalidated: where only the TTL ends a value, all that has changed is
	// found. The TTL must be longer than SampleRecheck. A bulk read is one hit here: one of the keys that it
	// has found is sampled, and its load function is called for that id alone. Reads inside of load functions
	// and of transactions are not sampled. Zero means none; negative is an error. Example: 1000.
	SampleOneIn int

	// NotFound is the error by which the load functions of the scope say that the source has
	// nothing under a key, so that a repository can keep its own error. Reads of a cached absence
	// return an error that matches it and [ErrNotFound]. It must be comparable, and not a nil
	// pointer. nil means [ErrNotFound], which load functions may return in every scope. Example:
	// sql.ErrNoRows.
	NotFound error

	// FarOnly keeps the entries of the scope out of the memory in front of a shared store (package
	// near): what is large, or read once, or must not lie in every process. Every hit is then a round
	// trip. It says nothing for other stores. Example: true.
	FarOnly bool

	_ struct{}
}

// fillDefaults puts the defaults in, or returns an error that names every field with a bad value.
func (o *ScopeOptions) fillDefaults() error {
	err := errors.Join(
		notNegative("ScopeOptions.LoadTimeout", o.LoadTimeout),
		notNegative("ScopeOptions.ReplicaLag", o.ReplicaLag),
		notNegative("ScopeOptions.MaxLoads", o.MaxLoads),
		notNegative("ScopeOptions.SampleOneIn", o.SampleOneIn),
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

// differences says which fields differ in other, with both values: those of o, then those of other. It is "" if all
// are equal. Both have their defaults.
func (o *ScopeOptions) differences(other ScopeOptions) string {
	var list []string
	a, b := reflect.ValueOf(*o), reflect.ValueOf(other)
	for i := range a.NumField() {
		if !a.Field(i).Equal(b.Field(i)) {
			list = append(list, fmt.Sprintf("%s is %v, not %v", a.Type().Field(i).Name, a.Field(i), b.Field(i)))
		}
	}
	return strings.Join(list, ", ")
}

func (o *ScopeOptions) checkTTL() error {
	if o.TTL <= 0 {
		return fmt.Errorf("readthrough: ScopeOptions.TTL: %v: must be positive, or NoExpiry", o.TTL)
	}
	return errors.Join(tooShort("ScopeOptions.TTL", o.TTL), tooShort("ScopeOptions.NegativeTTL", o.NegativeTTL))
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

// CallOption changes one call of [Wrap] and its kin. Make one with [TTL]. The zero value changes
// nothing.
type CallOption struct {
	ttl    time.Duration
	hasTTL bool
}

// TTL replaces [ScopeOptions.TTL] for the values that this call loads. It must be at least a millisecond, or
// [NoExpiry]; otherwise the call returns an error. A TTL that a load function calculates, and that may be over
// already, belongs into [Load.SetTTL]. A reader that joins the load of another call
// gets the TTL of that call. Example: Wrap(ctx, scope, key, load, TTL(time.Minute)).
func TTL(ttl time.Duration) CallOption {
	return CallOption{ttl: ttl, hasTTL: true}
}

// ttls are the TTLs of one call, before jitter.
type ttls struct {
	value time.Duration
	// absent is not positive if absences are not stored.
	absent time.Duration
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
		if err := tooShort("TTL", option.ttl); err != nil {
			return l, err
		}
		l.value = option.ttl
	}
	l.absent = min(l.absent, l.value)
	return l, nil
}

// jittered returns ttl, shortened by a random part of at most o.Jitter. It never lengthens a TTL,
// which is a promise of the longest time, and computes in nanoseconds, so short TTLs have jitter,
// too.
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

// leastTTL is the shortest TTL. A shorter one is a number without a unit, such as 60.
const leastTTL = time.Millisecond

// tooShort returns an error if d is positive and shorter than leastTTL.
func tooShort(field string, d time.Duration) error {
	if d <= 0 || d >= leastTTL {
		return nil
	}
	if d < time.Microsecond {
		return fmt.Errorf("readthrough: %s: %v: must not be shorter than %v: did you mean %d * time.Second?", field, d, leastTTL, d)
	}
	return fmt.Errorf("readthrough: %s: %v: must not be shorter than %v", field, d, leastTTL)
}

func orDefault[N comparable](field *N, value N) {
	var zero N
	if *field == zero {
		*field = value
	}
}
