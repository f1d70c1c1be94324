package readthrough

import (
	"fmt"
	"testing"
)

// Every key is in a set of few slots, so that many share one and go round its end.
func TestKeySetFindsRepetitions(t *testing.T) {
	const n = 1000
	s := newKeySet(make([]uint32, slotsFor(n)))
	var list []string
	for round := range 2 {
		for i := range n {
			key := fmt.Sprint("key:", i)
			got := s.add(key, list)
			if round == 0 {
				if got != -1 {
					t.Fatalf("%q, for the first time: found at %d", key, got)
				}
				list = append(list, key)
			} else if got != i {
				t.Fatalf("%q, again: found at %d, want %d", key, got, i)
			}
		}
	}
}

func TestKeySetsOfFew(t *testing.T) {
	for n := range 20 {
		s := newKeySet(make([]uint32, slotsFor(n)))
		var list []string
		for i := range n {
			if got := s.add(fmt.Sprint(i), list); got != -1 {
				t.Fatalf("%d keys: the new key %d was found at %d", n, i, got)
			}
			list = append(list, fmt.Sprint(i))
		}
	}
}
