package memory

import (
	"context"

	"github.com/readthrough/readthrough/provider"
)

// DeletePrefix removes the entries of scope whose names begin with prefix, or all
// entries of scope if prefix is empty. It returns how many of them were live. It
// lets other writers in after every few hundred entries. If the store is closed
// meanwhile, DeletePrefix returns an error and the number removed so far.
//
// The first call on a store builds the index. It looks at every entry, and lets
// other writers in after every few hundred: about two seconds of processor time for
// a million entries, most of what storing them took. Later calls look at matching
// entries only. The store keeps the index, at about 25 bytes per entry. A program
// that cannot afford the pause calls DeletePrefix while the store is empty.
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

// deletePrefixChunk removes the entries under the next names of c, and returns how
// many were live.
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

// cursor walks over the names of a scope that begin with a prefix, in order and a
// chunk at a time. Others may write between chunks.
//
// It meets every name that is there from beginning to end. It also ends: the names
// only increase, and it skips names above the greatest one at its beginning, so a
// writer of ever greater names cannot keep it running.
type cursor struct {
	scope, prefix string
	done          bool

	from   string   // the least name not yet seen; empty: at the beginning
	last   string   // the greatest name to visit
	buffer []string // reused
}

// nextLocked returns up to chunk next names of c. They are valid until the next
// call. It may return no names before c is done.
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
	// Continue after the last name seen, not from the prefix: names that were added
	// behind the cursor are skipped, so the walk ends.
	c.from = successor(names[len(names)-1])
	return names
}
