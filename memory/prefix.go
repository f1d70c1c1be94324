package memory

import (
	"context"

	"github.com/readthrough/readthrough/provider"
)

// DeletePrefix removes the entries of scope whose names begin with prefix, all
// of them if it is empty, and returns the number of live ones among them. It lets
// other writers in every few hundred. On the error of a store that is closed
// meanwhile, removed is what it got to.
//
// It looks at no other entries, but for the first call on a store. That one makes
// the index, also letting others in every few hundred entries, which takes about
// two seconds of processor time for a million, most of what it took to store them.
// From then on the store keeps it, which costs an entry about 25 bytes more. Who
// cannot wait for that when there are entries already calls DeletePrefix when there
// are none yet.
func (s *Store) DeletePrefix(_ context.Context, scope, prefix string) (removed int, err error) {
	c := cursor{scope: scope, prefix: prefix}
	for !c.done {
		n, err := s.deletePrefixChunk(&c)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// deletePrefixChunk removes the entries under the next names of c, and returns
// how many of them were live.
func (s *Store) deletePrefixChunk(c *cursor) (removed int, err error) {
	if err := s.lock(); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	now := s.now()
	for _, name := range s.nextLocked(c) {
		if s.deleteLocked(&provider.Key{Scope: c.scope, Name: name}, now) {
			removed++
		}
	}
	return removed, nil
}

// cursor walks over the names of a scope that begin with a prefix, in order and
// some at a time, while others may write in between.
//
// It meets every name that is there from beginning to end. It ends: names only
// go up, and those above the last that was there when it began are left out, so
// that a writer of ever increasing names cannot keep it going.
type cursor struct {
	scope, prefix string
	done          bool

	from   string   // the least name not seen; empty: not begun
	last   string   // the greatest name to see
	buffer []string // reused
}

// nextLocked returns the next names of c, up to chunk of them. They are valid
// until the next call. There may be none before c is done.
func (s *Store) nextLocked(c *cursor) []string {
	if !s.indexLocked() {
		return nil
	}
	x := s.scopes[c.scope]
	if x == nil {
		c.done = true
		return nil
	}
	if c.buffer == nil {
		last, found := x.last(c.prefix)
		if !found {
			c.done = true
			return nil
		}
		c.last = last
		c.buffer = make([]string, 0, chunk)
	}
	names := x.between(c.buffer, c.from, c.prefix, c.last)
	if len(names) < chunk {
		c.done = true
		return names
	}
	// From the last name seen and not from the prefix: names that came in
	// behind it since are not looked at, which would never end.
	c.from = successor(names[len(names)-1])
	return names
}
