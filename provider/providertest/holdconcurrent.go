package providertest

import (
	"fmt"
	"sync/atomic"

	"github.com/readthrough/readthrough/provider"
)

func holdConcurrentCases() []capabilityCase[provider.Holder] {
	return []capabilityCase[provider.Holder]{
		{
			"own-holds",
			because("Holds that are placed and given up at the same time do not take each other away: the key is held as long as one of them is there, and free afterwards. Services change the same row at the same time."),
			withHolds(checkOwnHolds),
		},
		{
			"hold-overtakes",
			because("When Hold has returned, nobody gets an entry or a lease of the key until it is given up, and nobody finds later what was loaded before. Between removing and holding, no lease is granted."),
			withHolds(func(s holding) {
				s.checkHoldOvertakes(provider.HoldTargets{Scope: "scope", Keys: []string{"family:7"}})
			}),
		},
		{
			"hold-prefix-overtakes",
			because("What holds for a key when Hold has returned holds for all keys under a prefix."),
			withHolds(func(s holding) {
				s.checkHoldOvertakes(provider.HoldTargets{Scope: "scope", Prefixes: []string{"family:"}})
			}),
		},
	}
}

func checkOwnHolds(s holding) {
	targets := provider.HoldTargets{Scope: "scope", Keys: []string{"key"}, Prefixes: []string{"p:"}}
	s.each(5, func(i int) {
		token := fmt.Sprint("token-", i)
		for range rounds / 3 {
			s.hold(targets, token)
			s.wantState(k("key"), provider.LeaseHeld)
			for range i { // some changes take longer than others
				s.breathe()
			}
			s.wantState(k("key"), provider.LeaseHeld)
			s.wantState(k("p:1"), provider.LeaseHeld)
			s.unhold(targets, token)
			s.breathe()
		}
	})
	s.wantFree(k("key"))
	s.wantFree(k("p:1"))
}

// checkHoldOvertakes is checkOvertaken for holds. It also checks that a call gets
// neither an entry nor a lease if the hold exists from before the call until
// after it.
func (s holding) checkHoldOvertakes(targets provider.HoldTargets) {
	s.t.Helper()
	key := k("family:7")
	var src source
	var turn atomic.Int64 // odd while the hold certainly exists
	held := func(before int64) bool { return before%2 == 1 && turn.Load() == before }
	s.writeAndRead(4, func(i int) {
		if i > 0 {
			for n := range 2 * rounds {
				s.readThrough(key, &src, n%4)
				s.breathe()
			}
			return
		}
		for n := range rounds {
			token := fmt.Sprint("token-", n)
			version := src.version.Add(1)
			s.hold(targets, token)
			src.invalidated.Store(version)
			turn.Add(1)
			for range 3 {
				s.breathe()
			}
			turn.Add(1)
			s.unhold(targets, token)
			for range 3 {
				s.breathe()
			}
		}
	}, func() {
		least, before := src.invalidated.Load(), turn.Load()
		entry, found := s.get(key)
		if found && held(before) {
			s.fatalf("Get found %s while the key is held", brief(entry.Value))
		}
		if found {
			s.wantVersion("Get", entry, least)
		}
		before = turn.Load()
		switch grant := s.acquire(key); {
		case grant.State != provider.LeaseHeld && held(before):
			s.fatalf("Acquire of a key that is held: %s", stateOf(grant.State))
		case grant.State == provider.LeaseGranted:
			s.release(grant.Lease)
		}
	})
	s.remove(key)
	s.wantFree(key) // no hold remains
}
