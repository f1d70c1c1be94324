package readthrough

import (
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
