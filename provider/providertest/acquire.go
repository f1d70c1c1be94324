package providertest

import (
	"fmt"
	"io"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func acquireCases() []capabilityCase[provider.Leaser] {
	return []capabilityCase[provider.Leaser]{
		{
			"grants",
			because("Acquire of a key without an entry grants a lease of that key: one that never had an entry, whose entry was deleted, or whose entry has ended. The reader then loads, once."),
			withLeases(checkAcquireGrants),
		},
		{
			"finds",
			because("Acquire of a key with an entry finds the entry that Get finds, whole, and leaves no lease. Values, nil and absences are entries: one that is not found is loaded again and again."),
			withLeases(checkAcquireFinds),
		},
		{
			"not-prolonged",
			because("Acquire does not prolong the entry that it finds: it ends with its TTL, however often it is asked for, and is granted from then on."),
			withLeases(func(s leasing) {
				const ttl = 100 * time.Millisecond
				began := now()
				s.set(k("key"), "value", ttl)
				s.wantFreed(k("key"), provider.LeaseFound, ttl, began)
			}),
		},
		{
			"busy",
			because("While a key is leased, it is busy for everybody, also for the client that has the lease, and asking does not take the lease away. Goroutines of one process load a key independently of each other."),
			withLeases(func(s leasing) {
				lease := s.lease(k("key"))
				for range 3 {
					s.wantState(k("key"), provider.LeaseBusy)
				}
				s.fillValue(lease, "value")
				s.want(k("key"), "value")
			}),
		},
		{
			"tokens",
			because("Each transmission of an Acquire has a token of its own. A token that comes back, because it names the client, or the key, or was free again, lets the fill of an old load pass for that of a new one."),
			withLeases(checkTokens),
		},
		{
			"invisible",
			because("A lease is no entry: Get and GetMany do not find it, and Has, List and Stats do not show it."),
			withLeases(checkLeaseInvisible),
		},
		{
			"in-order",
			because("Acquire returns a grant for each key, in their order, whatever is under the others. The cache matches grants with keys by position; one off is somebody else's entry."),
			withLeases(checkAcquireInOrder),
		},
		{
			"many",
			because("Acquire, Fill and Release take thousands of keys at once, of several scopes. A list page with ten thousand rows is one bulk read."),
			withLeases(checkLeaseMany),
		},
		{
			"none",
			because("Acquire of no keys returns no grants and no error, and Fill and Release of nothing do nothing."),
			withLeases(checkLeaseNone),
		},
		{
			"scopes",
			because("The same name in two scopes is two keys: the lease of one neither keeps others from the other nor fills it. Two keys are equal exactly if both parts are."),
			withLeases(func(s leasing) {
				s.checkLeaseKeys([]provider.Key{
					{Scope: "a", Name: "b:c"},
					{Scope: "a:b", Name: "c"},
					{Scope: "a:b:c"},
					{Name: "a:b:c"},
					{Scope: "a", Name: "c"},
					{Scope: "A", Name: "c"},
					{Scope: "a\x00", Name: "c"},
					{Scope: "{a}", Name: "c"},
					{Scope: "*", Name: "c"},
				})
			}),
		},
		{
			"names",
			because(bytesAreBytes + " That holds for leases as for entries."),
			withLeases(func(s leasing) {
				var keys []provider.Key
				for b := range 256 {
					keys = append(keys, k(string([]byte{'x', byte(b), 'y'})))
				}
				for _, name := range oddNames() {
					keys = append(keys, k(name))
				}
				s.checkLeaseKeys(keys)
			}),
		},
		{
			"not-aliased",
			because("Entries that Acquire returned never change, as those that Get returned."),
			withLeases(func(s leasing) {
				keys := []provider.Key{k("a"), k("b")}
				s.set(keys[0], "the value of a", time.Hour)
				s.set(keys[1], "the value of b", time.Hour)
				grants := s.acquireAll(keys...)
				s.set(keys[0], "THE NEW VALUE OF A", time.Hour)
				s.set(keys[1], "THE NEW VALUE OF B", time.Hour)
				s.acquireAll(keys...)
				s.wantFoundBy(&grants[0], keys[0], provider.Entry{Value: "the value of a"})
				s.wantFoundBy(&grants[1], keys[1], provider.Entry{Value: "the value of b"})
			}),
		},
		{
			"cancelled",
			because("Acquire with a context that has ended still returns a grant for each key, each right, or failed with an error; an error of the whole call is set in the grants that it concerns. A lease that it may have taken nevertheless ends with its TTL."),
			withLeases(checkAcquireCancelled),
		},
		{
			"after-close",
			because("After Close, the calls for leases return an error that matches ErrClosed, as all others, and grant and store nothing."),
			withLeases(checkLeaseAfterClose),
		},
	}
}

func checkAcquireGrants(s leasing) {
	const ttl = 100 * time.Millisecond
	s.set(k("deleted"), "value", time.Hour)
	s.remove(k("deleted"))
	s.set(k("family:deleted"), "value", time.Hour)
	s.removePrefix("scope", "family:")
	s.set(k("ended"), "value", ttl)
	s.expire(ttl)
	for _, name := range []string{"never there", "deleted", "family:deleted", "ended", ""} {
		lease := s.lease(k(name))
		s.wantMiss(k(name))
		s.fillValue(lease, valueOf(name))
		s.want(k(name), valueOf(name))
	}
}

// oddEntries returns entries that a store may mistake for something else.
func oddEntries() map[string]provider.Entry {
	return map[string]provider.Entry{
		"full":    {Value: payload{Name: "n", Tags: []string{"a"}}, FreshUntil: time.Now().Add(time.Minute), LoadTime: 1234 * time.Microsecond, LoadedAt: time.Now(), Validator: "W/\"7\""},
		"pointer": {Value: &payload{Count: 7}},
		"nil":     {},
		"zero":    {Value: 0},
		"empty":   {Value: ""},
		"bytes":   {Value: []byte{0, 1, 0xff}},
		"absent":  {Absent: true, FreshUntil: time.Now().Add(time.Hour), LoadTime: time.Second, LoadedAt: time.Now(), Validator: "\x00\xff"},
	}
}

func checkAcquireFinds(s leasing) {
	for name, entry := range oddEntries() {
		s.setEntry(k(name), entry, time.Hour)
		for range 2 {
			grant := s.acquire(k(name))
			s.wantFoundBy(&grant, k(name), entry)
			s.wantMetadata(grant.Entry, entry)
		}
		if found, ok := s.get(k(name)); ok {
			s.wantEntry(k(name), found, entry)
		} else {
			s.errorf("Get(%s) found nothing after an Acquire that found an entry", show(k(name)))
		}
		s.remove(k(name))
		s.wantFree(k(name))
	}
}

func checkTokens(s leasing) {
	seen := map[string]string{}
	see := func(lease provider.Lease, why string) {
		s.t.Helper()
		if before, twice := seen[lease.Token]; twice {
			s.fatalf("two calls of Acquire have granted the token %q: %s, and before %s", shorten(lease.Token), why, before)
		}
		seen[lease.Token] = why
	}
	for i := range 20 {
		lease := s.lease(k("key"))
		see(lease, "after a release")
		s.release(lease)
		see(s.lease(k("key")), "after another")
		s.remove(k("key"))
		lease = s.lease(k("key"))
		see(lease, "after a Delete")
		s.fillValue(lease, "value")
		s.removePrefix("scope", "key")
		see(s.lease(k(valueNo(i))), "for another key")
		see(s.lease(provider.Key{Scope: "other", Name: valueNo(i)}), "for another scope")
	}
	const ttl = 50 * time.Millisecond
	see(s.leaseFor(k("ends"), ttl), "that ends")
	s.expire(ttl)
	see(s.leaseSoon(k("ends")), "after the end of the last")
}

func checkLeaseInvisible(s leasing) {
	keys := []provider.Key{k("key"), k("family:key")}
	leases := s.leases(keys...)
	for _, key := range keys {
		s.wantMiss(key)
	}
	s.wantNothingSeen(keys...)
	s.fillValue(leases[0], "value") // inspecting took no lease away
	s.fillValue(leases[1], "value")
}

// wantNothingSeen checks that no capability of the store shows an entry.
func (s leasing) wantNothingSeen(keys ...provider.Key) {
	s.t.Helper()
	if b, ok := s.store.(provider.Batcher); ok {
		for i, result := range s.getMany(b, keys) {
			s.wantNoResult(keys[i], result)
		}
	}
	i, ok := s.store.(provider.Inspector)
	if !ok {
		return
	}
	for _, key := range keys {
		if s.has(i, key) {
			s.errorf("Has(%s) = true, want false: there is no entry", show(key))
		}
	}
	if page := s.list(i, provider.ListOptions{}); len(page.Entries) != 0 || page.Total != 0 {
		s.errorf("List returned %d entries of %d, want none", len(page.Entries), page.Total)
	}
	if n := s.stats(i).Entries; n != 0 && n != provider.Unknown {
		s.errorf("Stats has Entries %d, want 0 or Unknown", n)
	}
}

func checkAcquireInOrder(s leasing) {
	s.set(k("value"), "the value", time.Hour)
	s.set(k("another"), "another value", time.Hour)
	s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
	s.leases(k("leased"), k("leased too"))
	s.lease(k("lease deleted"))
	s.remove(k("lease deleted"))

	names := []string{"free", "value", "leased", "absent", "lease deleted", "leased too", "another", "free too"}
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = k(name)
	}
	grants := s.acquireAll(keys...)
	for i, want := range []provider.GrantState{
		provider.LeaseGranted, provider.LeaseFound, provider.LeaseBusy, provider.LeaseFound,
		provider.LeaseGranted, provider.LeaseBusy, provider.LeaseFound, provider.LeaseGranted,
	} {
		if grants[i].State != want {
			s.fatalf("Acquire of %s among others: %s, want %s", show(keys[i]), stateOf(grants[i].State), stateOf(want))
		}
	}
	s.wantFoundBy(&grants[1], keys[1], provider.Entry{Value: "the value"})
	s.wantFoundBy(&grants[3], keys[3], provider.Entry{Absent: true})
	s.wantFoundBy(&grants[6], keys[6], provider.Entry{Value: "another value"})
	for _, i := range []int{0, 4, 7} {
		s.fillValue(grants[i].Lease, valueOf(names[i]))
		s.want(keys[i], valueOf(names[i]))
	}
}

func checkLeaseMany(s leasing) {
	const n = 5000
	keys := make([]provider.Key, n)
	var busy []provider.Key
	for i := range keys {
		keys[i] = provider.Key{Scope: fmt.Sprint("scope ", i%3), Name: fmt.Sprint("key ", i)}
		switch i % 50 {
		case 7:
			s.set(keys[i], i, time.Hour)
		case 13:
			busy = append(busy, keys[i])
		}
	}
	taken := s.leases(busy...)

	var fills []provider.Fill
	for i, grant := range s.acquireAll(keys...) {
		want := provider.LeaseGranted
		switch i % 50 {
		case 7:
			want = provider.LeaseFound
		case 13:
			want = provider.LeaseBusy
		}
		if grant.State != want {
			s.fatalf("Acquire of %s among %d: %s, want %s", show(keys[i]), n, stateOf(grant.State), stateOf(want))
		}
		if want == provider.LeaseGranted {
			fills = append(fills, fillOf(grant.Lease, i))
		}
	}
	for i, filled := range s.fillAll(fills...) {
		if !filled.Stored || filled.Err != nil {
			s.fatalf("Fill of %s among %d: Stored %v, error %v", show(fills[i].Lease.Key), len(fills), filled.Stored, filled.Err)
		}
	}
	s.release(taken...)
	for i, grant := range s.acquireAll(keys...) {
		if i%50 == 13 {
			if grant.State != provider.LeaseGranted {
				s.fatalf("Acquire of %s, released with %d others: %s", show(keys[i]), len(taken), stateOf(grant.State))
			}
			continue
		}
		if got, ok := as[int](grant.Entry.Value); grant.State != provider.LeaseFound || !ok || got != i {
			s.fatalf("Acquire of %s among %d: %s %s, want %d found", show(keys[i]), n, stateOf(grant.State), brief(grant.Entry.Value), i)
		}
	}
}

func checkLeaseNone(s leasing) {
	s.set(k("key"), "value", time.Hour)
	lease := s.lease(k("leased"))
	for _, keys := range [][]provider.Key{nil, {}} {
		if grants, err := s.leaser.Acquire(s.ctx(), keys, leaseTime); len(grants) != 0 || err != nil {
			s.errorf("Acquire of no keys returned %d grants and error %v, want none", len(grants), err)
		}
	}
	for _, fills := range [][]provider.Fill{nil, {}} {
		if filled, err := s.leaser.Fill(s.ctx(), fills); len(filled) != 0 || err != nil {
			s.errorf("Fill of nothing returned %d answers and error %v, want none", len(filled), err)
		}
	}
	for _, leases := range [][]provider.Lease{nil, {}} {
		if err := s.leaser.Release(s.ctx(), leases); err != nil {
			s.errorf("Release of no leases returned error %v", err)
		}
	}
	s.want(k("key"), "value")
	s.fillValue(lease, "value")
}

// checkLeaseKeys leases keys one after the other, fills each, and then deletes
// every other one. The keys are distinct.
func (s leasing) checkLeaseKeys(keys []provider.Key) {
	s.t.Helper()
	leases := make([]provider.Lease, len(keys))
	for i, key := range keys {
		leases[i] = s.lease(key)
	}
	for i, grant := range s.acquireAll(keys...) {
		if grant.State != provider.LeaseBusy {
			s.errorf("Acquire of %s, which is leased: %s", show(keys[i]), stateOf(grant.State))
		}
	}
	for i, lease := range leases {
		s.fillValue(lease, valueNo(i))
	}
	for i, key := range keys {
		s.want(key, valueNo(i))
		if i%2 == 0 {
			s.remove(key)
		}
	}
	grants := s.acquireAll(keys...)
	for i := range grants {
		if i%2 == 1 {
			s.wantFoundBy(&grants[i], keys[i], provider.Entry{Value: valueNo(i)})
		} else if grants[i].State != provider.LeaseGranted {
			s.errorf("Acquire of %s, which was deleted: %s", show(keys[i]), stateOf(grants[i].State))
		}
	}
}

func checkAcquireCancelled(s leasing) {
	const ttl = 100 * time.Millisecond
	keys := []provider.Key{k("there"), k("missing")}
	s.set(keys[0], "value", time.Hour)
	grants, err := s.leaser.Acquire(s.cancelled(), keys, ttl)
	if len(grants) != len(keys) {
		s.fatalf("Acquire of %d keys with a cancelled context returned %d grants and error %v", len(keys), len(grants), err)
	}
	failed := 0
	for i := range grants {
		if grants[i].State != provider.LeaseFailed {
			s.checkGrant(keys[i], &grants[i])
			continue
		}
		failed++
		if grants[i].Err == nil {
			s.errorf("Acquire of %s with a cancelled context: failed, without an error", show(keys[i]))
		}
	}
	if err != nil && failed == 0 {
		s.errorf("Acquire with a cancelled context returned error %v and no grant that failed", err)
	}
	if grants[0].State != provider.LeaseFailed {
		s.wantFoundBy(&grants[0], keys[0], provider.Entry{Value: "value"})
	}
	switch grants[1].State {
	case provider.LeaseFailed:
		s.expire(ttl)
	case provider.LeaseGranted:
		s.release(grants[1].Lease)
	default:
		s.errorf("Acquire of %s with a cancelled context: %s, want it granted or failed", show(keys[1]), stateOf(grants[1].State))
	}
	s.leaseSoon(keys[1])
	s.want(keys[0], "value")
}

func checkLeaseAfterClose(s leasing) {
	c, ok := s.store.(io.Closer)
	if !ok {
		s.skipf("the store has no io.Closer: this case does not apply to it")
	}
	s.set(k("key"), "value", time.Hour)
	lease := s.lease(k("leased"))
	s.close(c)

	keys := []provider.Key{k("key"), k("missing")}
	grants, err := s.leaser.Acquire(s.ctx(), keys, leaseTime)
	s.wantClosed("Acquire", err)
	if len(grants) != len(keys) {
		s.errorf("Acquire of %d keys after Close returned %d grants", len(keys), len(grants))
	}
	for i := range grants {
		if grants[i].State != provider.LeaseFailed {
			s.errorf("Acquire after Close: %s", stateOf(grants[i].State))
		}
		s.wantClosed("the grant of Acquire", grants[i].Err)
	}
	filled, err := s.leaser.Fill(s.ctx(), []provider.Fill{fillOf(lease, "value")})
	for _, f := range filled {
		if f.Stored {
			s.errorf("Fill after Close: Stored true")
		}
		if err == nil {
			err = f.Err
		}
	}
	s.wantClosed("Fill", err)
	s.wantClosed("Release", s.leaser.Release(s.ctx(), []provider.Lease{lease}))
}
