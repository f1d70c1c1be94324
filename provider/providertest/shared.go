package providertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// RunShared checks what processes tell each other by a shared store that is a [provider.Announcer]. newPair
// returns two stores, each as a process makes it, on one server. It is called once per case, with the t of
// the case's subtest, and gives back what it has made with [testing.T.Cleanup]. Both have to be empty, and
// what one stores, the other finds. RunShared runs in real time.
func RunShared(t *testing.T, newPair func(t *testing.T) (one, other provider.CacheProvider)) {
	t.Helper()
	runThese(t, sharedGroups(), func(t *testing.T, c testCase) string {
		t.Helper()
		one, other := newPair(t)
		return runPair(t, one, other, c, realTime)
	})
}

// RunSharedSynctest is [RunShared] in bubbles of package [testing/synctest], as [RunSynctest] is [Run].
func RunSharedSynctest(t *testing.T, newPair func(t *testing.T) (one, other provider.CacheProvider)) {
	t.Helper()
	runThese(t, sharedGroups(), func(t *testing.T, c testCase) (skipped string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			one, other := newPair(t)
			skipped = runPair(t, one, other, c, exactTime)
		})
		return skipped
	})
}

// sharedGroups returns the cases of [RunShared].
func sharedGroups() []group {
	g := group{name: "shared"}
	for _, c := range sharedCases() {
		g.cases = append(g.cases, testCase{c.name, c.rule, func(s *session) {
			other, ok := s.other.(provider.Announcer)
			if _, too := s.store.(provider.Announcer); !ok || !too {
				s.skipf("the stores have no provider.Announcer: this case does not apply to it")
			}
			c.run(s, other)
		}})
	}
	return []group{g}
}

// sharedCases are those of two processes: calls are made at s.store, and the member is at the other one.
func sharedCases() []capabilityCase[provider.Announcer] {
	return []capabilityCase[provider.Announcer]{
		{
			"one-store",
			because("What one process stores, another finds, and what one removes, another does not. Otherwise the function given to the suite has made two stores."),
			func(s *session, _ provider.Announcer) {
				s.set(k("key"), "value", time.Hour)
				if _, found, err := s.other.Get(s.ctx(), k("key")); err != nil || !found {
					s.fatalf("another process does not find what was stored: found %v, error %v", found, err)
				}
				s.remove(k("key"))
				if _, found, err := s.other.Get(s.ctx(), k("key")); err != nil || found {
					s.fatalf("another process finds what was removed: found %v, error %v", found, err)
				}
			},
		},
		{
			"told",
			because("Every call that removes tells the members of other processes what, and so does Announce. What a member is not told stays in its memory."),
			func(s *session, other provider.Announcer) {
				for _, strict := range []bool{false, true} {
					m := s.join(other, strict)
					for _, r := range removals(s.store) {
						m.setHook(nil)
						s.removes(r)
						s.eventually("a member of another process is not told of a "+r.name, func() bool { return m.hasHeard(r.removed) })
					}
					s.leave(m)
				}
			},
		},
		{
			"removed-first",
			because("A member is told when the entry is removed, whether or not it was told before. If it were told before only, it would read the old entry again, and nobody would tell it a second time."),
			checkRemovedFirst,
		},
		{
			"waits",
			because("A call that removes returns after each strict member of another process has dropped the entry, or may answer no more. The next read of any process must not be stale."),
			checkWaits,
		},
		{
			"waits-for-nobody-else",
			because("A member that is not strict is not waited for, and Announce waits for no member. One slow process must not hold up the others."),
			checkWaitsForNobodyElse,
		},
		{
			"unacknowledged",
			because("If the time of a call ends while a strict member has not dropped the entry, the error matches ErrUnacknowledged. The entry is removed, so the store did not fail; and it is not nil, so the cache tries again."),
			checkUnacknowledged,
		},
		{
			"left",
			because("Nobody waits for a member whose membership is closed. A process that ends in order must not hold up the others."),
			func(s *session, other provider.Announcer) {
				if !s.exact() {
					s.skipf("in real time every call takes some: this case is for RunSynctest")
				}
				m := s.join(other, true)
				s.pause()
				s.removes(removals(s.store)[0])
				s.leave(m)
				began := time.Now()
				s.removes(removals(s.store)[0])
				if waited := time.Since(began); waited != 0 {
					s.errorf("a Delete waited %v for a member that has left", waited)
				}
			},
		},
	}
}

// later is long enough for a member to be waited for, and shorter than the lease of any.
const later = 10 * time.Millisecond

// removes makes the call of r at the first store. An error ends the case.
func (s *session) removes(r removal) {
	s.t.Helper()
	if err := r.do(s.ctx(), s.store); err != nil {
		s.fatalf("%s: unexpected error: %v", r.name, err)
	}
}

// checkRemovedFirst looks for the entry while the member is told.
func checkRemovedFirst(s *session, other provider.Announcer) {
	m := s.join(other, false)
	for _, r := range removals(s.store) {
		if r.announces {
			continue
		}
		s.set(k("list:1"), "value", time.Hour)
		var gone atomic.Bool
		m.setHook(func() {
			if _, found, err := s.store.Get(s.ctx(), k("list:1")); err == nil && !found {
				gone.Store(true)
			}
		})
		s.removes(r)
		s.eventually("a member of another process is told of a "+r.name+" only while the entry is there", gone.Load)
		m.setHook(nil)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// slowly has m take its time to drop, until release is called. entered is closed when it has begun.
func (m *member) slowly() (entered chan struct{}, release func()) {
	entered = make(chan struct{})
	released := make(chan struct{})
	var first, last sync.Once
	m.setHook(func() {
		first.Do(func() { close(entered) })
		<-released
	})
	return entered, func() { last.Do(func() { close(released) }) }
}

// checkWaits looks whether the member may still answer the old entry when a call returns.
func checkWaits(s *session, other provider.Announcer) {
	m := s.join(other, true)
	for _, r := range removals(s.store) {
		if r.announces {
			continue
		}
		s.eventually("a member is not told that it may answer", m.mayAnswer)
		entered, release := m.slowly()
		defer release() // also if the case ends early
		returned := make(chan struct{})
		go s.guard(func() {
			defer close(returned)
			s.removes(r)
			if m.mayBeStale(r.removed) {
				s.errorf("%s has returned, and a strict member of another process has not dropped the entry, and may answer", r.name)
			}
		})
		s.eventually("a member of another process is not told of a "+r.name, func() bool { return isClosed(entered) })
		time.Sleep(later)
		release()
		<-returned
		m.setHook(nil)
	}
}

// checkWaitsForNobodyElse makes calls that return while the member has not dropped.
func checkWaitsForNobodyElse(s *session, other provider.Announcer) {
	s.leave(s.join(other, false))
	s.removes(removals(s.store)[0]) // which may wait for members that the server has never heard of
	for _, strict := range []bool{false, true} {
		m := s.join(other, strict)
		for _, r := range removals(s.store) {
			if strict && !r.announces {
				continue
			}
			entered, release := m.slowly()
			defer release() // also if the case ends early
			began := time.Now()
			ctx, cancel := context.WithTimeout(s.ctx(), patience)
			err := r.do(ctx, s.store)
			cancel()
			if err != nil {
				s.errorf("%s, while a member that is not to be waited for (strict %v) drops: unexpected error: %v", r.name, strict, err)
			}
			if waited := time.Since(began); s.exact() && waited != 0 {
				s.errorf("%s waited %v for a member (strict %v)", r.name, waited, strict)
			}
			s.eventually("a member of another process is not told of a "+r.name, func() bool { return isClosed(entered) })
			release()
			m.setHook(nil)
		}
		s.leave(m)
	}
}

// checkUnacknowledged makes a call whose time ends before the member has dropped.
func checkUnacknowledged(s *session, other provider.Announcer) {
	m := s.join(other, true)
	_, release := m.slowly()
	defer release()
	s.set(k("list:1"), "value", time.Hour)
	ctx, cancel := context.WithTimeout(s.ctx(), 10*later)
	defer cancel()
	err := s.store.Delete(ctx, k("list:1"))
	switch {
	case errors.Is(err, provider.ErrUnacknowledged):
		s.wantMiss(k("list:1"))
	case err == nil && m.mayBeStale(provider.Removed{Keys: []provider.Key{k("list:1")}}):
		s.errorf("Delete has returned nil, and a strict member has not dropped the entry, and may answer")
	case err == nil && !s.exact(): // the lease of the member is over: the machine is slow
	case errors.Is(err, context.DeadlineExceeded) && !s.exact(): // it was over before the member was told
	default:
		s.errorf("Delete, whose time ended while it waited for a member: error %v, want one that matches ErrUnacknowledged", err)
	}
}
