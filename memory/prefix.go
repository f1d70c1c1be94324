package memory

import (
	"context"

	"github.com/readthrough/readthrough/provider"
)

// DeletePrefix removes the entries of scope whose names begin with prefix, all
// of them if it is empty, and returns the number of live ones among them. It
// looks at no other entries, and lets other writers in every few hundred. On the
// error of a store that is closed meanwhile, removed is what it got to.
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
	for _, name := range c.nextLocked(&s.index) {
		if s.deleteLocked(provider.Key{Scope: c.scope, Name: name}, now) {
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

// nextLocked returns the next names, up to chunk of them. They are valid until
// the next call. Store.mu is held, which guards x.
func (c *cursor) nextLocked(x *index) []string {
	if c.buffer == nil {
		last, found := x.last(c.scope, c.prefix)
		if !found {
			c.done = true
			return nil
		}
		c.last = last
		c.buffer = make([]string, 0, chunk)
	}
	names := x.names(c.buffer, c.scope, c.from, c.prefix, c.last)
	if len(names) < chunk {
		c.done = true
		return names
	}
	// From the last name seen and not from the prefix: names that came in
	// behind it since are not looked at, which would never end.
	c.from = successor(names[len(names)-1])
	return names
}
