package memory

import (
	"strings"

	"github.com/tidwall/btree"
)

// scope is a scope that has entries.
type scope struct {
	name    string
	entries int64
	names   btree.Set[string] // the names of the entries in order: see index
}

// index is what prefixes need: the names of each scope in order. A store has none
// until it is asked for a prefix. From then on it has one, also while it is empty:
//
//  1. With begun set, every entry that comes is indexed, and every one that goes is
//     taken out, in the critical section in which it comes or goes.
//  2. rest walks over the entries that were there when begun was set, and indexes
//     those that it meets. It meets an entry at most once, in a critical section.
//     What goes before it gets there is never indexed, what goes later is taken out.
//  3. When rest is done, so that complete is set, the index has all names.
//
// It holds names and not nodes, for two reasons. An entry that is replaced keeps its
// place without any work. And the nodes of the tree share arrays after a split, so
// that what was removed from one may be reachable through its neighbour for long: a
// name does little harm there, a value would.
type index struct {
	begun, complete bool
	rest            walk
}

// indexLocked goes on with the index, for about a chunk of entries, and reports
// whether it is complete.
func (s *Store) indexLocked() (complete bool) {
	x := &s.index
	if x.complete {
		return true
	}
	if !x.begun {
		x.begun, x.rest = true, newWalk(s.table.Load())
	}
	if x.rest.next(func(n *node) { n.scope.names.Insert(n.name) }) {
		x.complete, x.rest = true, walk{}
	}
	return x.complete
}

// enterLocked makes n, whose key is not there, an entry of a scope.
func (s *Store) enterLocked(n *node, name string) {
	x := s.scopes[name]
	if x == nil {
		x = &scope{name: name}
		s.scopes[name] = x
	}
	n.scope = x
	x.entries++
	if s.index.begun {
		x.names.Insert(n.name)
	}
}

// leaveLocked takes n out of its scope, which goes with its last entry.
func (s *Store) leaveLocked(n *node) {
	x := n.scope
	x.entries--
	if s.index.begun {
		x.names.Delete(n.name)
	}
	if x.entries == 0 {
		delete(s.scopes, x.name)
	}
}

// between appends to buffer the names that are not below from, begin
// with prefix, and are not above last, up to the buffer's capacity, in order.
// It visits one name more than it returns, at most.
func (x *scope) between(buffer []string, from, prefix, last string) []string {
	x.names.Ascend(max(from, prefix), func(name string) bool {
		if len(buffer) == cap(buffer) || name > last || !strings.HasPrefix(name, prefix) {
			return false
		}
		buffer = append(buffer, name)
		return true
	})
	return buffer
}

// last returns the greatest name that begins with prefix, and whether
// there is one.
func (x *scope) last(prefix string) (last string, found bool) {
	visit := func(name string) bool {
		if strings.HasPrefix(name, prefix) {
			last, found = name, true
			return false
		}
		return name > prefix // only the end itself may come before a match
	}
	if end, bounded := prefixEnd(prefix); bounded {
		x.names.Descend(end, visit)
	} else {
		x.names.Reverse(visit)
	}
	return last, found
}

// prefixEnd returns the least string above all strings that begin with prefix.
// There is none if prefix is empty or all 0xff.
func prefixEnd(prefix string) (end string, bounded bool) {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1}), true
		}
	}
	return "", false
}

// successor returns the least string above name.
func successor(name string) string { return name + "\x00" }
