// Package sortedset has a sorted set of strings, for some ten thousand of them. It exists to remove those
// with a prefix without a walk through the others. The root package imports no tree for that.
package sortedset

import (
	"slices"
	"sort"
	"strings"
)

// most is how many strings a chunk has. To add one moves at most so many, and finds its chunk among n/most.
const most = 256

// Set is a sorted set of strings. Its zero value is empty. It is not safe for concurrent use.
//
// Invariants: the chunks are sorted, and so is each of them. None is empty or longer than most. Two
// neighbors together have more than most/2.
type Set struct{ chunks [][]string }

// find returns the chunk of s, and where s is in it or would be. There has to be a chunk.
func (t *Set) find(s string) (chunk, index int, found bool) {
	chunk = max(0, sort.Search(len(t.chunks), func(c int) bool { return t.chunks[c][0] > s })-1)
	index, found = slices.BinarySearch(t.chunks[chunk], s)
	return chunk, index, found
}

// Add adds s. It does nothing if the set has s.
func (t *Set) Add(s string) {
	if len(t.chunks) == 0 {
		t.chunks = [][]string{{s}}
		return
	}
	c, i, found := t.find(s)
	if found {
		return
	}
	t.chunks[c] = slices.Insert(t.chunks[c], i, s)
	if full := t.chunks[c]; len(full) > most {
		half := len(full) / 2 //nolint:mnd // half
		t.chunks = slices.Insert(t.chunks, c+1, slices.Clone(full[half:]))
		t.chunks[c] = slices.Delete(full, half, len(full))
	}
}

// Remove removes s. It does nothing if the set has no s.
func (t *Set) Remove(s string) {
	if len(t.chunks) == 0 {
		return
	}
	if c, i, found := t.find(s); found {
		t.chunks[c] = slices.Delete(t.chunks[c], i, i+1)
		t.mend(c, c+1)
	}
}

// RemovePrefix removes all strings that begin with prefix, and calls removed for each.
func (t *Set) RemovePrefix(prefix string, removed func(s string)) {
	if len(t.chunks) == 0 {
		return
	}
	c, i, _ := t.find(prefix)
	first := c
	for ; c < len(t.chunks); c++ {
		chunk := t.chunks[c]
		end := i + sort.Search(len(chunk)-i, func(n int) bool { return !strings.HasPrefix(chunk[i+n], prefix) })
		for _, s := range chunk[i:end] {
			removed(s)
		}
		t.chunks[c] = slices.Delete(chunk, i, end)
		if end < len(chunk) {
			c++
			break
		}
		i = 0
	}
	t.mend(first, c)
}

// mend restores the invariants after removals from the chunks from first to end.
func (t *Set) mend(first, end int) {
	kept := t.chunks[first:first]
	for _, chunk := range t.chunks[first:end] {
		if len(chunk) > 0 {
			kept = append(kept, chunk)
		}
	}
	left := first + len(kept)
	t.chunks = slices.Delete(t.chunks, left, end)
	for c := min(left, len(t.chunks)-1); c > 0 && c >= first; c-- {
		if before := t.chunks[c-1]; len(before)+len(t.chunks[c]) <= most/2 {
			t.chunks[c-1] = append(before, t.chunks[c]...)
			t.chunks = slices.Delete(t.chunks, c, c+1)
		}
	}
}
