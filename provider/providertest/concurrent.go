package providertest

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// rounds is the number of writes of a writer in a concurrent case.
const rounds = 150

func concurrentCases() []testCase {
	return []testCase{
		{
			"whole-entries",
			because("All methods are safe for concurrent use, and an entry is stored and found as a whole: never the value of one Set with the metadata of another."),
			checkWholeEntries,
		},
		{
			"right-key",
			because("However many goroutines call the store at the same time, each gets the answer to its own question: the entry of its key or nothing."),
			checkRightKey,
		},
		{
			"set-seen-by-all",
			because("When Set has returned nil, every Get that begins afterwards, whoever calls it, finds that entry or a later one, and never one before. A reader that was told that there is a new value does not read the old one."),
			checkSetSeen,
		},
		{
			"delete-seen-by-all",
			because("When Delete has returned nil, no Get that begins afterwards, whoever calls it, finds what was stored before: also not if other readers read the key all the time. A read that puts back what it found, to mark it as used, brings deleted entries back."),
			func(s *session) {
				s.checkGoneSeen(func(key provider.Key) { s.remove(key) })
			},
		},
		{
			"delete-prefix-seen-by-all",
			because("What holds for Delete after it returned nil holds for DeletePrefix: no Get that begins afterwards, whoever calls it, finds what was stored before."),
			func(s *session) {
				s.checkGoneSeen(func(key provider.Key) { s.removePrefix(key.Scope, key.Name[:len(key.Name)-1]) })
			},
		},
		{
			"others-undisturbed",
			because("Calls for other keys, other scopes and other prefixes that run at the same time lose nothing: what was set is found until it is deleted itself."),
			checkUndisturbed,
		},
		{
			"prefix-counts-once",
			because("Of several calls of DeletePrefix at the same time, each entry is removed, and counted, by one."),
			checkCountedOnce,
		},
	}
}

// breathe lets other goroutines run. In a bubble it sleeps a nanosecond, because
// sleeping goroutines take turns in the order of their wake-up times.
func (s *session) breathe() {
	if s.exact() {
		time.Sleep(time.Nanosecond)
		return
	}
	runtime.Gosched()
}

// writeAndRead runs write in writers goroutines. A few others run read in a loop
// until the writers are done.
func (s *session) writeAndRead(writers int, write func(i int), read func()) {
	const readers = 3
	var writing atomic.Int64
	writing.Store(int64(writers))
	s.each(writers+readers, func(i int) {
		if i < writers {
			defer writing.Add(-1)
			write(i)
			return
		}
		for writing.Load() > 0 {
			read()
			s.breathe()
		}
	})
}

func checkWholeEntries(s *session) {
	start := time.Now().Truncate(time.Second)
	numbered := func(n int) provider.Entry {
		return provider.Entry{Value: n, LoadTime: time.Duration(n) * time.Millisecond, FreshUntil: start.Add(time.Duration(n) * time.Second)}
	}
	key := k("key")
	s.writeAndRead(4, func(i int) {
		for n := range rounds {
			s.setEntry(key, numbered(4*n+i), time.Hour)
			s.breathe()
			if i == 0 && n%10 == 9 {
				s.remove(key)
			}
		}
	}, func() {
		entry, found := s.get(key)
		if !found {
			return
		}
		n, ok := as[int](entry.Value)
		if !ok {
			s.fatalf("Get found %s, want an int", brief(entry.Value))
		}
		s.wantMetadata(entry, numbered(n))
	})
}

func checkRightKey(s *session) {
	names := make([]string, 16)
	for i := range names {
		names[i] = fmt.Sprint("key ", i)
	}
	check := func(name string) {
		entry, found := s.get(k(name))
		if found {
			s.wantEntry(k(name), entry, provider.Entry{Value: valueOf(name)})
		}
	}
	s.each(8, func(i int) {
		for n := range rounds {
			mine := names[(5*i+n)%len(names)]
			s.set(k(mine), valueOf(mine), time.Hour)
			check(names[(i+3*n)%len(names)])
			s.breathe()
			if n%7 == 0 {
				s.remove(k(names[(i+n)%len(names)]))
			}
			check(names[(7*i+n)%len(names)])
		}
	})
}

func checkSetSeen(s *session) {
	key := k("key")
	var written atomic.Int64
	s.set(key, 0, time.Hour)
	s.writeAndRead(1, func(int) {
		for n := 1; n <= 2*rounds; n++ {
			s.set(key, n, time.Hour)
			written.Store(int64(n))
			s.breathe()
		}
	}, func() {
		least := int(written.Load())
		entry, found := s.get(key)
		n, ok := as[int](entry.Value)
		if !found || !ok || n < least {
			s.fatalf("Get found %s, found %v; want number %d, whose Set had returned before, or a later one", brief(entry.Value), found, least)
		}
	})
}

// checkGoneSeen stores numbered entries and removes them with remove, while others
// read.
func (s *session) checkGoneSeen(remove func(key provider.Key)) {
	key := k("family:7")
	var gone atomic.Int64
	gone.Store(-1)
	s.writeAndRead(1, func(int) {
		for n := range 2 * rounds {
			s.set(key, n, time.Hour)
			s.breathe()
			remove(key)
			gone.Store(int64(n))
			s.breathe()
		}
	}, func() {
		removed := int(gone.Load())
		entry, found := s.get(key)
		if !found {
			return
		}
		if n, ok := as[int](entry.Value); !ok || n <= removed {
			s.fatalf("Get found %s, want nothing up to number %d, which had been removed before", brief(entry.Value), removed)
		}
	})
}

func checkUndisturbed(s *session) {
	const goroutines = 6
	s.each(goroutines, func(i int) {
		mine, prefix := fmt.Sprint("writer ", i, " key"), fmt.Sprint("writer ", i, " family:")
		for n := range rounds {
			s.set(k(mine), n, time.Hour)
			s.set(k(prefix+"1"), n, time.Hour)
			s.set(k(prefix+"2"), n, time.Hour)
			s.breathe()
			s.want(k(mine), n)
			s.want(k(prefix+"1"), n)
			s.wantRemoved("scope", prefix, 2)
			s.want(k(mine), n)
			s.removePrefix(fmt.Sprint("another scope ", i), "")
			s.remove(k(prefix+"1"), k(prefix+"2"))
		}
		s.want(k(mine), rounds-1)
	})
}

func checkCountedOnce(s *session) {
	const entries, callers = 400, 4
	for round := range 5 {
		for i := range entries {
			s.set(k(fmt.Sprintf("family:%d:%d", round, i)), "value", time.Hour)
		}
		var removed atomic.Int64
		s.each(callers, func(int) { removed.Add(int64(s.removePrefix("scope", "family:"))) })
		if n := removed.Load(); n != entries {
			s.fatalf("%d concurrent calls of DeletePrefix together removed %d entries of %d", callers, n, entries)
		}
	}
}
