package providertest

import (
	"context"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func contextCases() []testCase {
	return []testCase{
		{
			"get-cancelled",
			because("Get with a context that has ended answers rightly, or with a miss, or with an error, and never with the entry of another key: nor does a later Get. A connection whose reply nobody waited for gives it to the next request."),
			checkGetCancelled,
		},
		{
			"set-cancelled",
			because("Set with a context that has ended stores the entry or returns an error, and has no effect after it returned. A fill that lands later undoes the invalidation that came in between."),
			checkSetCancelled,
		},
		{
			"delete-cancelled",
			because("Delete with a context that has ended either returns an error or has removed the entries. An invalidation that is said to be done and is not is lost."),
			func(s *session) {
				s.set(k("key"), "value", time.Hour)
				if err := s.store.Delete(s.cancelled(), k("key")); err == nil {
					s.wantMiss(k("key"))
				}
			},
		},
		{
			"delete-prefix-cancelled",
			because("DeletePrefix with a context that has ended either returns an error or has removed the entries and counted them."),
			func(s *session) {
				s.set(k("p:1"), "value", time.Hour)
				s.set(k("p:2"), "value", time.Hour)
				n, err := s.store.DeletePrefix(s.cancelled(), "scope", "p:")
				if err != nil {
					return
				}
				if n != 2 {
					s.errorf("DeletePrefix with a cancelled context = %d, nil; want 2 or an error", n)
				}
				s.wantMiss(k("p:1"))
				s.wantMiss(k("p:2"))
			},
		},
		{
			"usable-afterwards",
			because("A call whose context ended spoils the store for nobody else. Callers of a cache give up all the time."),
			func(s *session) {
				s.set(k("key"), "value", time.Hour)
				for range 20 {
					_, _, _ = s.store.Get(s.cancelled(), k("key"))                                              //nolint:errcheck // any answer is fine
					_ = s.store.Set(s.cancelled(), k("other"), provider.Entry{Value: "other"}, time.Hour)       //nolint:errcheck // any answer is fine
					_ = s.store.Delete(s.cancelled(), k("another"))                                             //nolint:errcheck // any answer is fine
					_, _ = s.store.DeletePrefix(s.cancelled(), "scope", "no entry has this prefix and this is") //nolint:errcheck // any answer is fine
				}
				s.want(k("key"), "value")
				s.set(k("new"), "new", time.Hour)
				s.want(k("new"), "new")
				s.remove(k("new"))
				s.wantMiss(k("new"))
			},
		},
		{
			"not-kept",
			because("A store does not tie an entry to the context of the Set that stored it. That context ends when the load's callers leave, and the entry is for those who come later."),
			func(s *session) {
				ctx, cancel := context.WithCancel(s.ctx())
				if err := s.store.Set(ctx, k("key"), provider.Entry{Value: "value"}, time.Hour); err != nil {
					s.fatalf("Set: unexpected error: %v", err)
				}
				cancel()
				s.pause()
				s.want(k("key"), "value")
			},
		},
	}
}

// cancelled returns a context that is cancelled.
func (s *session) cancelled() context.Context {
	ctx, cancel := context.WithCancel(s.ctx())
	cancel()
	return ctx
}

func checkGetCancelled(s *session) {
	keys := []provider.Key{k("a"), k("b"), k("c")}
	for i, key := range keys {
		s.set(key, valueNo(i), time.Hour)
	}
	for range 10 {
		for i, key := range keys {
			s.checkCancelledAnswer(key, valueNo(i))
			s.want(keys[(i+1)%len(keys)], valueNo((i+1)%len(keys)))
		}
		s.checkCancelledAnswer(k("missing"), "")
	}
}

// checkCancelledAnswer calls Get with a cancelled context. Get may find want
// only; if want is empty, it may find nothing.
func (s *session) checkCancelledAnswer(key provider.Key, want string) {
	s.t.Helper()
	entry, found, err := s.store.Get(s.cancelled(), key)
	switch {
	case err != nil && found:
		s.errorf("Get(%s) with a cancelled context returned both an entry and error %v", show(key), err)
	case found && want == "":
		s.errorf("Get(%s) with a cancelled context found %s, want nothing", show(key), brief(entry.Value))
	case found:
		s.wantEntry(key, entry, provider.Entry{Value: want})
	}
}

func checkSetCancelled(s *session) {
	for _, name := range []string{"held", "empty"} {
		if name == "held" {
			s.set(k(name), "old", time.Hour)
		}
		err := s.store.Set(s.cancelled(), k(name), provider.Entry{Value: "new"}, time.Hour)
		if err == nil {
			s.want(k(name), "new")
		}
		s.remove(k(name))
		s.pause()
		if _, found := s.get(k(name)); found {
			s.errorf("an entry came back after Delete: Set with a cancelled context returned %v and stored it later", err)
		}
	}
}
