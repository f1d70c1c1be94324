package readthrough

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// TestBackoff: it doubles up to 16 times the first, and does not overflow.
func TestBackoff(t *testing.T) {
	for count, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 16, math.MaxInt: 16} {
		if got := doubled(1, count); got != want {
			t.Errorf("after %d failures: %d, want %d", count, got, want)
		}
	}
	for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64/2 + 1, math.MaxInt64 / 4} {
		for count := range 10 {
			if got := doubled(d, count); got < d {
				t.Errorf("%d after %d failures: %d", d, count, got)
			}
		}
	}
	if got := doubled(0, 10); got != 0 {
		t.Errorf("nothing, doubled: %v", got)
	}
}

// TestFailuresAreBounded: however many keys fail, a scope remembers only some.
func TestFailuresAreBounded(t *testing.T) {
	var f failures
	options := ScopeOptions{RetryAfter: time.Second, ErrorTTL: time.Minute}
	now := time.Now()
	key := func(i int) string { return string(rune('a'+i%26)) + time.Duration(i).String() }
	for i := range 3 * maxFailures {
		f.add(key(i), ErrGoexit, now, &options)
		if n := len(f.keys); n > maxFailures {
			t.Fatalf("%d keys are remembered", n)
		}
	}
	var names []string
	f.names.RemovePrefix("", func(key string) { names = append(names, key) })
	if len(names) != len(f.keys) {
		t.Fatalf("%d keys are remembered, and %d names", len(f.keys), len(names))
	}
	for _, name := range names {
		f.names.Add(name)
	}
	if n := len(f.keys); n < maxFailures/2 {
		t.Errorf("only %d keys are remembered", n)
	}
	for i := range 3 * maxFailures {
		f.backOff(key(-i), now, time.Second)
		if n := len(f.keys); n > maxFailures {
			t.Fatalf("%d keys are remembered", n)
		}
	}
	later := now.Add(time.Minute) // when all of that is over
	for i := range maxFailures {
		f.add(key(i), ErrGoexit, later, &options)
	}
	for i := range maxFailures {
		if !f.backsOff(key(i), later) {
			t.Fatalf("%q was forgotten before what is over", key(i))
		}
	}
}

// TestFailuresThatAreNotOver: what is over makes room first.
func TestFailuresThatAreNotOver(t *testing.T) {
	var f failures
	now := time.Now()
	f.add("a pause", ErrGoexit, now, &ScopeOptions{RetryAfter: time.Hour})
	f.add("an error", ErrGoexit, now, &ScopeOptions{ErrorTTL: time.Hour})
	for i := range maxFailures {
		f.add(time.Duration(i).String(), ErrGoexit, now, &ScopeOptions{})
	}
	for _, key := range []string{"a pause", "an error"} {
		if _, ok := f.keys[key]; !ok {
			t.Errorf("%s is forgotten, among %d", key, len(f.keys))
		}
	}
}

// TestKnownFailureIsKeptOnce: a key that fails again is not copied again.
func TestKnownFailureIsKeptOnce(t *testing.T) {
	var f failures
	now, options := time.Now(), ScopeOptions{ErrorTTL: time.Hour}
	f.add("key", ErrGoexit, now, &options)
	if n := testing.AllocsPerRun(100, func() {
		f.add("key", ErrGoexit, now, &options)
		f.backOff("key", now, time.Hour)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if got := f.of("key").count; got != 102 {
		t.Errorf("%d failures in a row, want 102", got)
	}
}

// TestForgetAmongManyFailures: what an invalidation does about failures, under the lock of the scope,
// takes about as long however many other keys have failed. Only the fastest of several runs counts: the
// machine may be busy.
func TestForgetAmongManyFailures(t *testing.T) {
	takes := func(n int) time.Duration {
		var f failures
		now, options := time.Now(), ScopeOptions{ErrorTTL: time.Hour}
		for i := range n {
			f.add(fmt.Sprint("key ", i), ErrGoexit, now, &options)
		}
		least := time.Hour
		for range 100 {
			f.add("other", ErrGoexit, now, &options)
			began := time.Now()
			f.forget(Targets{Prefixes: []string{"other"}})
			least = min(least, time.Since(began))
		}
		if len(f.keys) != n {
			t.Fatalf("%d failures are left, want %d", len(f.keys), n)
		}
		return least
	}
	if few, many := takes(20), takes(maxFailures-1); many > 50*few {
		t.Errorf("among 20 failures it takes %v, among 500 times as many %v", few, many)
	}
}
