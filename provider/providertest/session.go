package providertest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// mostFailures is the most failures that a case reports.
const mostFailures = 8

// A session is one run of one case on its store. It runs until end is called,
// and reports nothing after that. mu makes reports from several goroutines
// safe.
type session struct {
	t     tb
	store provider.CacheProvider
	other provider.CacheProvider // of another process on the same server; nil: there is none
	rule  rule
	clock clock

	mu       sync.Mutex // guards following
	ended    bool       // t must not be used any more
	failures int        // the number of failures so far
	skipping string     // why the case is skipped; empty: it is not
}

// ctx returns the context of the case's test.
func (s *session) ctx() context.Context { return s.t.Context() }

// exact reports whether time advances only while the case sleeps.
func (s *session) exact() bool { return s.clock == exactTime }

// errorf reports that the rule of the case is broken. The case continues.
func (s *session) errorf(format string, args ...any) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.failures > mostFailures {
		return
	}
	s.failures++
	if s.failures > mostFailures {
		s.t.Errorf("more failures of this case are not shown")
		return
	}
	s.t.Errorf("%s\n\trule: %s\n\tcase: %s", fmt.Sprintf(format, args...), s.rule.text, s.rule.source)
}

// fatalf is errorf, and then ends the calling goroutine.
func (s *session) fatalf(format string, args ...any) {
	s.t.Helper()
	s.errorf(format, args...)
	runtime.Goexit()
}

// skipf ends the case because it does not apply to the store. Only the
// goroutine of the case may call it.
func (s *session) skipf(format string, args ...any) {
	s.mu.Lock()
	s.skipping = fmt.Sprintf(format, args...)
	s.mu.Unlock()
	runtime.Goexit()
}

// explained reports whether there is a reason for the case to end early.
func (s *session) explained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures > 0 || s.skipping != ""
}

// end drops all later reports. It returns why the case was skipped, empty if it
// was not.
func (s *session) end() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return s.skipping
}

// each runs f(0) to f(n-1) in one goroutine each, and waits for them. It
// reports a panic as a failure.
func (s *session) each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { s.guard(func() { f(i) }) })
	}
	wg.Wait()
}

// get returns what Get finds under key. An error ends the case.
func (s *session) get(key provider.Key) (provider.Entry, bool) {
	s.t.Helper()
	entry, found, err := s.store.Get(s.ctx(), key)
	if err != nil {
		s.fatalf("Get(%s): unexpected error: %v", show(key), err)
	}
	return entry, found
}

// set stores value. An error ends the case.
func (s *session) set(key provider.Key, value any, ttl time.Duration) {
	s.t.Helper()
	s.setEntry(key, provider.Entry{Value: value}, ttl)
}

// setEntry stores entry. An error ends the case.
func (s *session) setEntry(key provider.Key, entry provider.Entry, ttl time.Duration) {
	s.t.Helper()
	if err := s.store.Set(s.ctx(), key, entry, ttl); err != nil {
		s.fatalf("Set(%s) with ttl %v: unexpected error: %v", show(key), ttl, err)
	}
}

// remove deletes keys. An error ends the case.
func (s *session) remove(keys ...provider.Key) {
	s.t.Helper()
	if err := s.store.Delete(s.ctx(), keys...); err != nil {
		s.fatalf("Delete of %d keys: unexpected error: %v", len(keys), err)
	}
}

// removePrefix deletes by prefix, and returns the count. An error ends the
// case.
func (s *session) removePrefix(scope, prefix string) int {
	s.t.Helper()
	n, err := s.store.DeletePrefix(s.ctx(), scope, prefix)
	if err != nil {
		s.fatalf("DeletePrefix(%s): unexpected error: %v", show(provider.Key{Scope: scope, Name: prefix}), err)
	}
	return n
}

// wantRemoved deletes by prefix and checks the count.
func (s *session) wantRemoved(scope, prefix string, want int) {
	s.t.Helper()
	if n := s.removePrefix(scope, prefix); n != want {
		s.errorf("DeletePrefix(%s) = %d, want %d", show(provider.Key{Scope: scope, Name: prefix}), n, want)
	}
}

// want checks that key holds value.
func (s *session) want(key provider.Key, value any) {
	s.t.Helper()
	entry, found := s.get(key)
	if !found {
		s.errorf("Get(%s) found nothing, want %s", show(key), brief(value))
		return
	}
	s.wantEntry(key, entry, provider.Entry{Value: value})
}

// wantEntry checks the value and the absence of an entry that was found under
// key.
func (s *session) wantEntry(key provider.Key, got, want provider.Entry) {
	s.t.Helper()
	if got.Absent != want.Absent {
		s.errorf("Get(%s) found an entry with Absent %v, want %v", show(key), got.Absent, want.Absent)
		return
	}
	if want.Absent {
		return // the value of an absence has no meaning
	}
	compare := differ
	if got.Near { // it was decoded, and is kept since
		compare = differEqual
	}
	if problem := compare(got.Value, want.Value); problem != "" {
		s.errorf("Get(%s): %s", show(key), problem)
	}
}

// wantMiss checks that key holds nothing.
func (s *session) wantMiss(key provider.Key) {
	s.t.Helper()
	if entry, found := s.get(key); found {
		s.errorf("Get(%s) found %s, want nothing", show(key), brief(entry.Value))
	}
}

// k returns a key of the scope that most cases use.
func k(name string) provider.Key { return provider.Key{Scope: "scope", Name: name} }

// show formats a key for a message, shortened if it is long.
func show(key provider.Key) string {
	return shorten(fmt.Sprintf("scope %q, name %q", key.Scope, key.Name))
}

// shorten removes the middle of a long text.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s … %s (%d bytes)", text[:most/2], text[len(text)-most/4:], len(text))
}
