package providertest

import (
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func inspectCases() []capabilityCase[provider.Inspector] {
	return []capabilityCase[provider.Inspector]{
		{
			"has",
			because("Has reports whether there is a live entry under the key, as Get would find it: absences and nil are entries, what was deleted or has ended is none."),
			checkHas,
		},
		{
			"stats-entries",
			because("Entries is the number of entries stored: one for each key however often it was set, none for those removed. A number that only grows tells nobody how full the store is."),
			checkStatsEntries,
		},
		{
			"stats-hits",
			because("Hits and Misses count the answers of Get. An expired entry and a deleted one are misses, an absence is a hit."),
			checkStatsHits,
		},
		{
			"stats-sane",
			because("Each of the statistics is a number that is not negative, or Unknown, and what is stored is within the bounds."),
			func(s *session, i provider.Inspector) {
				s.wantSane(s.stats(i))
				for n := range 50 {
					s.set(k(valueNo(n)), valueNo(n), time.Hour)
				}
				s.set(k("ends"), "value", 50*time.Millisecond)
				s.expire(50 * time.Millisecond)
				s.wantMiss(k("ends"))
				s.removePrefix("scope", "value no. 1")
				s.wantSane(s.stats(i))
			},
		},
		{
			"looking-counts-nothing",
			because("Looking is no use of the cache: Has, Stats and List count no hit and no miss. A dashboard that refreshes must not improve the hit rate that it shows."),
			func(s *session, i provider.Inspector) {
				s.set(k("key"), "value", time.Hour)
				before := s.stats(i)
				for range 5 {
					s.has(i, k("key"))
					s.has(i, k("missing"))
					s.list(i, provider.ListOptions{})
				}
				after := s.stats(i)
				if after.Hits != before.Hits || after.Misses != before.Misses {
					s.errorf("looking changed Hits from %d to %d and Misses from %d to %d", before.Hits, after.Hits, before.Misses, after.Misses)
				}
			},
		},
		{
			"looking-keeps-nothing-alive",
			because("Looking at an entry does not prolong it: it ends with its TTL however often Has and List see it."),
			checkLookingKeepsNothingAlive,
		},
	}
}

// has returns the result of Has. An error ends the case.
func (s *session) has(i provider.Inspector, key provider.Key) bool {
	s.t.Helper()
	found, err := i.Has(s.ctx(), key)
	if err != nil {
		s.fatalf("Has(%s): unexpected error: %v", show(key), err)
	}
	return found
}

// stats returns the result of Stats. An error ends the case.
func (s *session) stats(i provider.Inspector) provider.Stats {
	s.t.Helper()
	stats, err := i.Stats(s.ctx())
	if err != nil {
		s.fatalf("Stats: unexpected error: %v", err)
	}
	return stats
}

func checkHas(s *session, i provider.Inspector) {
	const ttl = 100 * time.Millisecond
	s.set(k("there"), "value", time.Hour)
	s.set(k("nil"), nil, provider.NoExpiry)
	s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
	s.set(k("deleted"), "value", time.Hour)
	s.set(k("p:deleted"), "value", time.Hour)
	s.set(k("ends"), "value", ttl)
	s.remove(k("deleted"))
	s.removePrefix("scope", "p:")
	s.expire(ttl)
	for name, want := range map[string]bool{
		"there": true, "nil": true, "absent": true, "deleted": false, "p:deleted": false, "ends": false, "never": false, "": false, "the": false,
	} {
		if got := s.has(i, k(name)); got != want {
			s.errorf("Has(%s) = %v, want %v", show(k(name)), got, want)
		}
	}
	if s.has(i, provider.Key{Scope: "other", Name: "there"}) {
		s.errorf("Has reports an entry of another scope")
	}
}

func checkStatsEntries(s *session, i provider.Inspector) {
	want := func(n int64) {
		s.t.Helper()
		if got := s.stats(i).Entries; got != n && got != provider.Unknown {
			s.errorf("Stats has Entries %d, want %d or Unknown", got, n)
		}
	}
	want(0)
	for n := range 30 {
		s.set(k(valueNo(n)), valueNo(n), time.Hour)
		s.set(k(valueNo(n)), "again", provider.NoExpiry)
	}
	want(30)
	s.remove(k(valueNo(3)), k(valueNo(3)), k("missing"))
	want(29)
	s.wantRemoved("scope", "value no. 1", 11)
	want(18)
	s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
	s.get(k("absent"))
	want(19)
	s.wantRemoved("scope", "", 19)
	want(0)
}

func checkStatsHits(s *session, i provider.Inspector) {
	s.set(k("there"), "value", time.Hour)
	s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
	s.set(k("deleted"), "value", time.Hour)
	s.remove(k("deleted"))
	s.set(k("ends"), "value", 50*time.Millisecond)
	s.expire(50 * time.Millisecond)

	before := s.stats(i)
	for _, name := range []string{"there", "there", "absent", "missing", "deleted", "ends", "missing", "there"} {
		s.get(k(name))
	}
	after := s.stats(i)
	if known(before.Hits, after.Hits) && after.Hits-before.Hits != 4 {
		s.errorf("4 Gets that found an entry added %d to Hits", after.Hits-before.Hits)
	}
	if known(before.Misses, after.Misses) && after.Misses-before.Misses != 4 {
		s.errorf("4 Gets that found nothing added %d to Misses", after.Misses-before.Misses)
	}
}

// known reports whether the store knows all numbers.
func known(numbers ...int64) bool {
	return !slices.Contains(numbers, provider.Unknown)
}

// wantSane checks that the statistics are consistent with each other.
func (s *session) wantSane(stats provider.Stats) {
	s.t.Helper()
	for name, n := range map[string]int64{
		"Entries": stats.Entries, "Weight": stats.Weight, "MaxEntries": stats.MaxEntries, "MaxWeight": stats.MaxWeight,
		"Hits": stats.Hits, "Misses": stats.Misses, "Evictions": stats.Evictions, "Expirations": stats.Expirations,
	} {
		if n < 0 && n != provider.Unknown {
			s.errorf("Stats has %s %d, want a number that is not negative, or Unknown", name, n)
		}
	}
	if stats.MaxEntries > 0 && stats.Entries > stats.MaxEntries {
		s.errorf("Stats has Entries %d, more than MaxEntries %d", stats.Entries, stats.MaxEntries)
	}
	if stats.MaxWeight > 0 && stats.Weight > stats.MaxWeight {
		s.errorf("Stats has Weight %d, more than MaxWeight %d", stats.Weight, stats.MaxWeight)
	}
}

func checkLookingKeepsNothingAlive(s *session, i provider.Inspector) {
	const ttl = 300 * time.Millisecond
	look := func() bool {
		has := s.has(i, k("key"))
		s.list(i, provider.ListOptions{})
		s.stats(i)
		return has
	}
	s.set(k("key"), "value", ttl)
	for deadline := time.Now().Add(ttl + patience); look(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.errorf("Has and List kept an entry alive %v longer than its TTL of %v", patience, ttl)
			return
		}
	}
	s.wantMiss(k("key"))
}
