package providertest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func refreshConcurrentCases() []capabilityCase[provider.Refresher] {
	return []capabilityCase[provider.Refresher]{
		{
			"granted-to-one",
			because("Refresh looks at the entry and takes the lease in one step: of all that ask at the same time, exactly one is granted, and the others are busy, with the entry. Otherwise a popular entry that gets stale is loaded by everybody."),
			withRefreshes(checkRefreshGrantedToOne),
		},
		{
			"one-at-a-time",
			because("While somebody has the lease beside an entry nobody else has, and the entry is found all the time: not missed for the moment in which the lease is put there or taken away."),
			withRefreshes(checkRefreshOneAtATime),
		},
		{
			"fills-once",
			because("Of all that fill or extend with one lease at the same time, exactly one is stored. The network may deliver one request twice."),
			withRefreshes(checkRefreshFillsOnce),
		},
		{
			"delete-overtakes",
			because("A Fill is stored only if no Delete has removed its lease since Refresh, and once Delete has returned nil, nobody finds what was loaded before: neither by a Fill nor by an extension."),
			withRefreshes(func(s refreshing) {
				s.checkOvertaken(func(key provider.Key) { s.remove(key) }, s.refreshThrough)
			}),
		},
		{
			"delete-prefix-overtakes",
			because("Once DeletePrefix has returned, no lease granted beside an entry before it began can fill or extend, and nobody finds what such a lease has stored while it ran."),
			withRefreshes(func(s refreshing) {
				s.checkOvertaken(func(key provider.Key) { s.removePrefix(key.Scope, key.Name[:len(key.Name)-1]) }, s.refreshThrough)
			}),
		},
	}
}

func checkRefreshGrantedToOne(s refreshing) {
	for round := range 30 {
		key := k(fmt.Sprint("key ", round))
		s.setLoaded(key, round, time.Hour)
		request := s.known(key)
		var granted atomic.Int64
		s.each(8, func(int) {
			switch grant := s.refresh(request); {
			case grant.State != provider.LeaseGranted && grant.State != provider.LeaseBusy:
				s.errorf("Refresh of %s: %s, want it granted or busy", show(key), stateOf(grant.State))
			case !grant.Found:
				s.errorf("Refresh of %s: %s, without the entry", show(key), stateOf(grant.State))
			case grant.State == provider.LeaseGranted:
				granted.Add(1)
			}
		})
		if n := granted.Load(); n != 1 {
			s.fatalf("of 8 that asked to refresh an entry at the same time, %d were granted the lease", n)
		}
	}
}

func checkRefreshOneAtATime(s refreshing) {
	var holders atomic.Int64
	s.setLoaded(k("key"), "value", time.Hour)
	request := s.known(k("key"))
	s.writeAndRead(6, func(int) {
		for range rounds {
			grant := s.refresh(request)
			if grant.State == provider.LeaseGranted {
				if n := holders.Add(1); n != 1 {
					s.fatalf("%d callers have the lease beside an entry at the same time", n)
				}
				s.breathe()
				holders.Add(-1)
				s.release(grant.Lease)
			}
			s.breathe()
		}
	}, func() { s.want(k("key"), "value") })
	s.beside(k("key"))
}

func checkRefreshFillsOnce(s refreshing) {
	for round := range 30 {
		key := k(fmt.Sprint("key ", round))
		lease := s.setAndLease(key, -1)
		var stored, winner atomic.Int64
		s.each(4, func(i int) {
			fill := fillOf(lease, i)
			if i == 0 {
				fill = extensionOf(lease)
			}
			if s.fillAll(fill)[0].Stored {
				stored.Add(1)
				winner.Store(int64(i))
			}
		})
		if n := stored.Load(); n != 1 {
			s.fatalf("of 4 that filled with one lease at the same time, %d were stored", n)
		}
		want := int(winner.Load())
		if want == 0 {
			want = -1
		}
		s.want(key, want)
	}
}

// refreshThrough is one turn of a reader that refreshes any entry: it requests a
// lease, loads, which takes a while, and fills, or extends the entry if it is
// still current. Sometimes it releases the lease instead.
func (s refreshing) refreshThrough(key provider.Key, src *source, while int) {
	least := src.invalidated.Load()
	grant := s.refresh(provider.RefreshRequest{Key: key, Force: true})
	if grant.Found {
		s.wantVersion("Refresh", grant.Entry, least)
	}
	if grant.State != provider.LeaseGranted {
		return
	}
	loaded := src.version.Load() // every later version is invalidated after this moment
	for range while {
		s.breathe()
	}
	overtaken := src.invalidated.Load() > loaded
	if while == 3 && loaded%5 == 0 {
		s.release(grant.Lease)
		return
	}
	fill := fillOf(grant.Lease, int(loaded))
	if version, ok := as[int](grant.Entry.Value); grant.Found && ok && int64(version) == loaded {
		fill = extensionOf(grant.Lease)
	}
	if filled := s.fillAll(fill)[0]; filled.Stored && overtaken {
		s.fatalf("Fill stored version %d, although a later one was invalidated between Refresh and Fill", loaded)
	}
}
