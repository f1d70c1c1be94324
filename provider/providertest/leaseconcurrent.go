package providertest

import (
	"fmt"
	"sync/atomic"

	"github.com/readthrough/readthrough/provider"
)

func leaseConcurrentCases() []capabilityCase[provider.Leaser] {
	return []capabilityCase[provider.Leaser]{
		{
			"granted-to-one",
			because("Acquire looks for the entry and takes the lease in one step: of all that ask for a free key at the same time, exactly one is granted, and the others are busy. Two that have the lease load twice, and one of them fills for the other."),
			withLeases(checkGrantedToOne),
		},
		{
			"one-at-a-time",
			because("While somebody has the lease of a key nobody else has: not at the moment when it is given back, either."),
			withLeases(checkOneAtATime),
		},
		{
			"fills-once",
			because("Of all that fill with one lease at the same time, exactly one is stored, and that entry is found. The network may deliver one request twice."),
			withLeases(checkFillsOnce),
		},
		{
			"delete-overtakes",
			because("A Fill is stored only if no Delete has removed its lease since Acquire, and once Delete has returned nil, nobody finds what was loaded before. Fill looks and stores in one step, or a Delete in between is lost."),
			withLeases(func(s leasing) {
				s.checkOvertaken(func(key provider.Key) { s.remove(key) }, s.readThrough)
			}),
		},
		{
			"delete-prefix-overtakes",
			because("Once DeletePrefix has returned, no lease acquired before it began can fill, and nobody finds what such a lease has filled while it ran. A lease that turns into an entry in the middle of a scan is old all the same."),
			withLeases(func(s leasing) {
				s.checkOvertaken(func(key provider.Key) { s.removePrefix(key.Scope, key.Name[:len(key.Name)-1]) }, s.readThrough)
			}),
		},
	}
}

func checkGrantedToOne(s leasing) {
	for round := range 30 {
		key := k(fmt.Sprint("key ", round))
		var granted atomic.Int64
		s.each(8, func(int) {
			switch grant := s.acquire(key); grant.State {
			case provider.LeaseGranted:
				granted.Add(1)
			case provider.LeaseBusy:
			default:
				s.errorf("Acquire of %s: %s, want it granted or busy", show(key), stateOf(grant.State))
			}
		})
		if n := granted.Load(); n != 1 {
			s.fatalf("of 8 that asked for a free key at the same time, %d were granted the lease", n)
		}
	}
}

func checkOneAtATime(s leasing) {
	var holders atomic.Int64
	s.each(6, func(int) {
		for range rounds {
			grant := s.acquire(k("key"))
			if grant.State == provider.LeaseGranted {
				if n := holders.Add(1); n != 1 {
					s.fatalf("%d callers have the lease of a key at the same time", n)
				}
				s.breathe()
				holders.Add(-1)
				s.release(grant.Lease)
			}
			s.breathe()
		}
	})
	s.wantFree(k("key"))
}

func checkFillsOnce(s leasing) {
	for round := range 30 {
		key := k(fmt.Sprint("key ", round))
		lease := s.lease(key)
		var stored, winner atomic.Int64
		s.each(4, func(i int) {
			if s.fillAll(fillOf(lease, i))[0].Stored {
				stored.Add(1)
				winner.Store(int64(i))
			}
		})
		if n := stored.Load(); n != 1 {
			s.fatalf("of 4 that filled with one lease at the same time, %d were stored", n)
		}
		s.want(key, int(winner.Load()))
	}
}

// A source stands for what a cache reads: numbered versions, and how far they are
// invalidated. One goroutine writes both fields; others read them.
type source struct {
	version     atomic.Int64 // the newest version
	invalidated atomic.Int64 // the newest version whose invalidation has returned
}

// checkOvertaken runs loaders, which fill what they read from a source. Meanwhile
// the source changes, and every change is invalidated. It checks
//
//   - every Fill: if an invalidation began after Acquire had returned and
//     returned before Fill began, the store must refuse the fill;
//   - every entry found: it must not be older than the version whose invalidation
//     had returned before the call.
//
// through is one turn of a loader.
func (s leasing) checkOvertaken(invalidate func(key provider.Key), through func(key provider.Key, src *source, while int)) {
	s.t.Helper()
	key := k("family:7")
	var src source
	s.writeAndRead(4, func(i int) {
		if i > 0 {
			for n := range 2 * rounds {
				through(key, &src, n%4)
				s.breathe()
			}
			return
		}
		for range 2 * rounds {
			version := src.version.Add(1)
			s.breathe()
			invalidate(key)
			src.invalidated.Store(version)
			s.breathe()
		}
	}, func() {
		least := src.invalidated.Load()
		if entry, found := s.get(key); found {
			s.wantVersion("Get", entry, least)
		}
	})
}

// readThrough is one turn of a reader: it acquires, loads if it has the lease,
// which takes a while, and fills. Sometimes it releases the lease instead.
func (s leasing) readThrough(key provider.Key, src *source, while int) {
	least := src.invalidated.Load()
	grant := s.acquire(key)
	switch grant.State {
	case provider.LeaseFound:
		s.wantVersion("Acquire", grant.Entry, least)
	case provider.LeaseGranted:
		loaded := src.version.Load() // every later version is invalidated after this moment
		for range while {
			s.breathe()
		}
		overtaken := src.invalidated.Load() > loaded
		if while == 3 && loaded%5 == 0 {
			s.release(grant.Lease)
			return
		}
		if filled := s.fillAll(fillOf(grant.Lease, int(loaded)))[0]; filled.Stored && overtaken {
			s.fatalf("Fill stored version %d, although a later one was invalidated between Acquire and Fill", loaded)
		}
	default: // another goroutine loads, or changes the source
	}
}

// wantVersion checks that an entry is not older than least, the version whose
// invalidation had returned before the call began.
func (s leasing) wantVersion(call string, entry provider.Entry, least int64) {
	s.t.Helper()
	if version, ok := as[int](entry.Value); !ok || int64(version) < least {
		s.fatalf("%s found %s; want version %d, whose invalidation had returned before, or a later one", call, brief(entry.Value), least)
	}
}
