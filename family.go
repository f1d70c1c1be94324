package readthrough

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/readthrough/readthrough/internal/idkey"
	"github.com/readthrough/readthrough/provider"
)

// Loads are the functions of a [Family] that know its source. One or Many is required.
type Loads[ID comparable, T any] struct {
	// One loads the value of an id, as the load function of [Wrap]. nil: Many is called with the
	// one id; an id that its result lacks is absent. Example: repo.Get.
	One func(ctx context.Context, id ID) (T, error)

	// Many loads the values of ids, as the load function of [WrapMany]. nil: One is called for each
	// id, at most 8 at once, as by [Each]. Example: repo.GetMany.
	Many func(ctx context.Context, ids []ID) (map[ID]T, error)

	// AppendID appends the text of an id to b, as the functions of package [strconv] do. Different
	// ids must have different texts. It must not keep b. nil writes strings, integers, booleans,
	// arrays and structs of them, so that different ids always have different texts:
	//
	//	42                                      user:42
	//	MemberID{Tenant: "acme", User: 42}      member:acme/42
	//
	// Other types need it. Example, for netip.Addr:
	//
	//	AppendID: func(b []byte, id netip.Addr) []byte { return id.AppendTo(b) },
	AppendID func(b []byte, id ID) []byte

	// Clone returns a deep copy of a value. Every value that the family returns is then a copy,
	// which its reader may change. nil: readers share the value, and nobody may change it. It is
	// called once for each value that is read, so it costs what the copy costs. Example:
	// (*User).Clone.
	Clone func(value T) T

	_ struct{}
}

// eachLoads is how many loads of single ids a family without Many runs at once.
const eachLoads = 8

// Family is a kind of entity in a [CachedScope]: the keys of its ids, how they are loaded one by one and
// in bulk, and what is invalidated when one of them changes. All of it is said once, in [NewFamily], so
// that the parts cannot differ. Its methods Get and GetMany have the shape of repository methods. It is
// safe for concurrent use.
type Family[ID comparable, T any] struct {
	scope   *CachedScope
	prefix  string
	loads   Loads[ID, T]
	plan    *idkey.Plan // nil if loads.AppendID is set
	options []CallOption
	ttls    ttls
	buffers sync.Pool // of *buffer
}

// NewFamily returns the family of the keys that consist of prefix and the text of an id. Make it where
// the repository is made:
//
//	users, err := readthrough.NewFamily(scope, "user:", readthrough.Loads[int64, *User]{One: repo.Get, Many: repo.GetMany})
//
// and read by users.Get(ctx, id) and users.GetMany(ctx, ids). options hold for all its reads.
//
// It returns an error for a nil scope, an empty prefix, a prefix of which another family or list of the
// scope has a part or that has a part of it ("user:" covers "user:admin:"), loads without One and Many,
// a type of ids that has no text without AppendID, and a bad option. The same prefix with the same types
// is no error: a second family then shares its entries with the first.
func NewFamily[ID comparable, T any](s *CachedScope, prefix string, loads Loads[ID, T], options ...CallOption) (*Family[ID, T], error) {
	const function = "NewFamily"
	ttls, err := checkReads[T](function, s, true, true, options)
	if err != nil {
		return nil, err
	}
	if loads.One == nil && loads.Many == nil {
		return nil, errNoArgument(function, s, "Loads.One and Loads.Many both")
	}
	f := &Family[ID, T]{scope: s, loads: loads, options: slices.Clone(options), ttls: ttls}
	if loads.AppendID == nil {
		if f.plan, err = idkey.New(reflect.TypeFor[ID]()); err != nil {
			return nil, fmt.Errorf("readthrough: NewFamily: %q in scope %q: ids: %w: set Loads.AppendID", prefix, s.name, err)
		}
	}
	if f.prefix, err = s.prefixes.add(function, s.name, prefix, reflect.TypeFor[Loads[ID, T]]()); err != nil {
		return nil, err
	}
	f.complete()
	return f, nil
}

// complete makes the load function that is not there from the one that is.
func (f *Family[ID, T]) complete() {
	switch one, many := f.loads.One, f.loads.Many; {
	case many == nil:
		f.loads.Many = Each(eachLoads, one)
	case one == nil:
		f.loads.One = func(ctx context.Context, id ID) (T, error) {
			values, err := many(ctx, []ID{id})
			value, ok := values[id]
			if err == nil && !ok {
				err = ErrNotFound
			}
			return value, err
		}
	}
}

// Get returns the value of id, as [Wrap] does. A hit in a store with [provider.ValueGetter], such as
// memory, allocates nothing. An id that the source does not have is an error that matches [ErrNotFound]
// and [ScopeOptions.NotFound].
func (f *Family[ID, T]) Get(ctx context.Context, id ID) (T, error) {
	value, err := f.get(ctx, id)
	return f.given(value, err), err
}

func (f *Family[ID, T]) get(ctx context.Context, id ID) (none T, err error) {
	if !f.isMade() {
		return none, errNoFamily
	}
	b, ok := f.buffers.Get().(*buffer)
	if !ok {
		b = new(buffer)
		b.key = b.room[:0]
	}
	b.key = f.appendKey(b.key[:0], id)
	// This string is the buffer. Nobody has it after the calls that get it: the store may not keep it,
	// and others that might keep it get a copy.
	k := unsafe.String(unsafe.SliceData(b.key), len(b.key))
	if f.scope.observer.Hit != nil {
		k = strings.Clone(k)
	}
	if err := f.scope.checkKey(ctx, k); err != nil {
		return none, err
	}
	s := &f.scope.keyspace
	value, look := quick[T](ctx, s, k)
	if look.is == provider.Present {
		if look.sampled {
			sampleID(ctx, s, k, id, f.loads.One)
		}
		f.buffers.Put(b)
		return value, nil
	}
	k = string(b.key)
	f.buffers.Put(b)
	return readID(ctx, s, k, id, f.loads.One, f.ttls, look)
}

// buffer is the memory in which a key is made. Most keys fit into its room. A buffer fills two
// cache lines, so that processors that make keys at the same time do not write to the same line.
type buffer struct {
	key  []byte
	room [104]byte
}

// GetMany returns the values of ids, as [WrapMany] does: ids that are not stored are loaded by one call
// of Loads.Many, ids that the source does not have are not in the result, and an error comes with the
// values that are there. The result is never nil. It is the caller's.
func (f *Family[ID, T]) GetMany(ctx context.Context, ids []ID) (map[ID]T, error) {
	if !f.isMade() {
		return map[ID]T{}, errNoFamily
	}
	values, err := WrapMany(ctx, f.scope, ids, f.Key, f.loads.Many, f.options...)
	return f.givenMany(values), err
}

// Refresh loads the value of id now, whatever is stored, and stores it: see the function [Refresh].
func (f *Family[ID, T]) Refresh(ctx context.Context, id ID) (T, error) {
	if !f.isMade() {
		var none T
		return none, errNoFamily
	}
	value, err := Refresh(ctx, f.scope, f.Key(id), func(ctx context.Context) (T, error) { return f.loads.One(ctx, id) }, f.options...)
	return f.given(value, err), err
}

// RefreshMany is Refresh for many ids: one call of Loads.Many loads all of them. Ids that the source does not
// have are not in the result, and what was stored of them is removed. An error comes with the values that are
// there, and what is stored of the other ids stays. The result is never nil.
func (f *Family[ID, T]) RefreshMany(ctx context.Context, ids []ID) (map[ID]T, error) {
	if !f.isMade() {
		return map[ID]T{}, errNoFamily
	}
	if err := f.scope.checkOpen(ctx); err != nil {
		return map[ID]T{}, err
	}
	r, err := newBulk(&f.scope.keyspace, ids, f.Key, f.loads.Many)
	if err != nil || len(r.ids) == 0 {
		return map[ID]T{}, err
	}
	r.purpose, r.values = toReplace, make(map[ID]T, len(r.ids))
	err = r.run(ctx, f.ttls)
	return f.givenMany(r.values), err
}

// Peek returns the value of id if it is stored, and loads nothing: see the function [Peek].
func (f *Family[ID, T]) Peek(ctx context.Context, id ID) (value T, ok bool, err error) {
	if !f.isMade() {
		return value, false, errNoFamily
	}
	value, ok, err = Peek[T](ctx, f.scope, f.Key(id))
	if ok {
		value = f.given(value, err)
	}
	return value, ok, err
}

// PeekMany returns the values of those ids that are stored, by one request to the store, and loads nothing. The
// errors are those of a bad argument, and [ErrClosed]. The result is never nil.
func (f *Family[ID, T]) PeekMany(ctx context.Context, ids []ID) (map[ID]T, error) {
	if !f.isMade() {
		return map[ID]T{}, errNoFamily
	}
	if err := joinErrors(f.scope.checkOpen(ctx), checkIDs(ids)); err != nil {
		return map[ID]T{}, err
	}
	keys := make([]string, len(ids))
	for n, id := range ids {
		keys[n] = f.Key(id)
		if err := checkKey("key", keys[n]); err != nil {
			return map[ID]T{}, err
		}
	}
	values := make(map[ID]T)
	peekMany(ctx, &f.scope.keyspace, keys, func(n int, value T) { values[ids[n]] = value })
	return f.givenMany(values), nil
}

// Put runs write, which changes the source and returns the new value of id, and stores that: see the
// function [Put]. If the source assigns the id, as a database does that counts its rows, there is nothing
// to put: nobody can have read the new id, or only its absence. Invalidate the id after the write.
func (f *Family[ID, T]) Put(ctx context.Context, id ID, write func(ctx context.Context) (T, error)) (T, error) {
	if !f.isMade() {
		var none T
		return none, errNoFamily
	}
	value, err := Put(ctx, f.scope, f.Key(id), write, f.options...)
	return f.given(value, err), err
}

// Invalidate removes the values of ids, after the source was changed: see [CachedScope.Invalidate].
func (f *Family[ID, T]) Invalidate(ctx context.Context, ids ...ID) error {
	if !f.isMade() {
		return errNoFamily
	}
	_, err := f.scope.InvalidateTargets(ctx, f.Of(ids...))
	return err
}

// Of returns the entries of ids as targets, for [Cache.Invalidate] and [Mutation]. Without ids, these are
// none.
func (f *Family[ID, T]) Of(ids ...ID) Targets {
	if !f.isMade() {
		return Targets{err: errNoFamily}
	}
	keys := make([]string, len(ids))
	for n, id := range ids {
		keys[n] = f.Key(id)
	}
	return f.scope.Of(keys...)
}

// All returns all entries of the family as targets.
func (f *Family[ID, T]) All() Targets {
	if !f.isMade() {
		return Targets{err: errNoFamily}
	}
	return f.scope.Under(f.prefix)
}

// Under returns the entries of all ids that equal id in their first fields as targets, for ids that are
// structs. Example: members.Under(MemberID{Tenant: "acme"}, 1) covers all members of acme, and of no other
// tenant.
//
// The targets are an error of the call that gets them, if ids are no structs, if fields is not at least 1 and
// less than the number of fields, or if the family has AppendID.
func (f *Family[ID, T]) Under(id ID, fields int) Targets {
	switch {
	case !f.isMade():
		return Targets{err: errNoFamily}
	case f.plan == nil:
		return Targets{err: fmt.Errorf("readthrough: Family.Under: family %q: it has Loads.AppendID, which does not say where fields end", f.prefix)}
	}
	key, err := f.plan.AppendLeading([]byte(f.prefix), unsafe.Pointer(&id), fields)
	if err != nil {
		return Targets{err: fmt.Errorf("readthrough: Family.Under: family %q: %w", f.prefix, err)}
	}
	return f.scope.Under(string(key))
}

// Key returns the key of id in the scope, for the functions that want one, such as [LoadOf]; "" if f is
// nil. Example: "user:42".
func (f *Family[ID, T]) Key(id ID) string {
	if !f.isMade() {
		return ""
	}
	return string(f.appendKey(nil, id))
}

// Scope returns the scope of the family; nil if f is nil.
func (f *Family[ID, T]) Scope() *CachedScope {
	if !f.isMade() {
		return nil
	}
	return f.scope
}

// appendKey appends the key of id to b. It passes the id to code that is known here, or by value: an id
// would be moved to the heap otherwise.
func (f *Family[ID, T]) appendKey(b []byte, id ID) []byte {
	b = append(b, f.prefix...)
	if f.plan == nil {
		return f.loads.AppendID(b, id)
	}
	return f.plan.Append(b, unsafe.Pointer(&id))
}

// given returns the value that a reader gets for one that was read.
func (f *Family[ID, T]) given(value T, err error) T {
	if err != nil || f.loads.Clone == nil {
		return value
	}
	return f.loads.Clone(value)
}

// givenMany is given for values, which are nobody else's map.
func (f *Family[ID, T]) givenMany(values map[ID]T) map[ID]T {
	if f.loads.Clone != nil {
		for id, value := range values {
			values[id] = f.loads.Clone(value)
		}
	}
	return values
}

func (f *Family[ID, T]) isMade() bool { return f != nil && f.scope != nil }

var errNoFamily = errors.New("readthrough: the family was not made by NewFamily")
