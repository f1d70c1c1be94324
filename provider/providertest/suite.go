package providertest

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A group is the cases of one part of the contract.
type group struct {
	name  string
	cases []testCase
}

// A testCase checks one rule of the contract. Its name is unique in its group.
type testCase struct {
	name string
	rule rule
	run  func(s *session)
}

// groups returns the suite. To add the cases of a capability, write them as
// []capabilityCase[TheCapability] in a file of their own, and add a line here.
func groups() []group {
	return []group{
		{"get", getCases()},
		{"values", valueCases()},
		{"absent", absentCases()},
		{"metadata", metadataCases()},
		{"set", setCases()},
		{"ttl", ttlCases()},
		{"delete", deleteCases()},
		{"keys", keyCases()},
		{"scopes", scopeCases()},
		{"prefix", prefixCases()},
		{"context", contextCases()},
		{"size", sizeCases()},
		{"concurrent", concurrentCases()},
		{"model", modelCases()},
		groupFor("batch", batchCases()),
		groupFor("inprocess", inProcessCases()),
		groupFor("getvalue", valueGetterCases()),
		groupFor("inspect", inspectCases()),
		groupFor("list", listCases()),
		groupFor("close", closeCases()),
		groupFor("acquire", acquireCases()),
		groupFor("fill", fillCases()),
		groupFor("lease", leaseCases()),
		groupFor("release", releaseCases()),
		groupFor("renew", renewCases()),
		groupFor("lease-concurrent", leaseConcurrentCases()),
		groupFor("refresh", refreshCases()),
		groupFor("refresh-fill", refreshFillCases()),
		groupFor("extend", extendCases()),
		groupFor("refresh-concurrent", refreshConcurrentCases()),
		groupFor("hold", holdCases()),
		groupFor("hold-prefix", holdPrefixCases()),
		groupFor("hold-concurrent", holdConcurrentCases()),
		groupFor("getttl", getTTLCases()),
		groupFor("announce", announceCases()),
	}
}

// A capabilityCase is a [testCase] for stores with the capability P.
type capabilityCase[P any] struct {
	name string
	rule rule
	run  func(s *session, p P)
}

// groupFor makes a group of cases. They are skipped for a store without P.
func groupFor[P any](name string, cases []capabilityCase[P]) group {
	g := group{name: name}
	for _, c := range cases {
		g.cases = append(g.cases, testCase{c.name, c.rule, func(s *session) {
			p, ok := s.store.(P)
			if !ok {
				s.skipf("the store has no %v: this case does not apply to it", reflect.TypeFor[P]())
			}
			c.run(s, p)
		}})
	}
	return g
}

// A rule is a rule of the contract, with the reason why a cache needs it, and the
// position of its case.
type rule struct {
	text   string
	source string
}

// because makes a rule. Its position is that of the call of because.
func because(text string) rule {
	_, file, line, ok := runtime.Caller(1)
	if !ok {
		return rule{text, "unknown position"}
	}
	return rule{text, fmt.Sprintf("providertest/%s:%d", filepath.Base(file), line)}
}

// tb is the part of [testing.T] that a case needs. The tests of the suite itself
// use another implementation, to see whether a case fails when it should.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Context() context.Context
}

// clock is the kind of time that a case runs in.
type clock int

const (
	// realTime means that time passes by itself and that calls take some of it.
	realTime clock = iota
	// exactTime means that the case runs in a bubble: time passes only while the
	// case sleeps.
	exactTime
)

// hangLimit returns how long a case may take. In a bubble it is longer than any
// case sleeps.
func (c clock) hangLimit() time.Duration {
	if c == exactTime {
		return 60 * time.Hour
	}
	return 3 * time.Minute
}

// runCase runs c on store. If the case does not apply to the store, runCase
// returns why. A panic, a Goexit and a call that hangs are failures of this case
// only.
func runCase(t tb, store provider.CacheProvider, c testCase, clk clock) (skipped string) {
	t.Helper()
	return runPair(t, store, nil, c, clk)
}

// runPair is runCase with a second store, as another process makes it; nil: there is none.
func runPair(t tb, store, other provider.CacheProvider, c testCase, clk clock) (skipped string) {
	t.Helper()
	if store == nil {
		t.Errorf("the function given to the suite returned a nil store")
		return ""
	}
	s := &session{t: t, store: store, other: other, rule: c.rule, clock: clk}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.guard(func() { c.run(s) })
	}()

	limit := time.NewTimer(clk.hangLimit())
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		s.errorf("the case has not ended after %v: a call of the store hangs\n%s", clk.hangLimit(), allStacks())
	}
	// A case that hangs may continue later, when t must not be used any more.
	return s.end()
}

// guard runs f. It reports a panic, and also a Goexit that no report explains: a
// store that calls [runtime.Goexit].
func (s *session) guard(f func()) {
	finished := false
	defer func() {
		if r := recover(); r != nil {
			s.errorf("panic: %v\n%s", r, debug.Stack())
		} else if !finished && !s.explained() {
			s.errorf("a call of the store ended the goroutine that made it")
		}
	}()
	f()
	finished = true
}

// allStacks returns the stacks of all goroutines, cut at 64 KiB.
func allStacks() []byte {
	buf := make([]byte, 64<<10)
	return buf[:runtime.Stack(buf, true)]
}
