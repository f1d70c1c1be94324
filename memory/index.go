package memory

import (
	"strings"

	"github.com/tidwall/btree"
)

// scope is a scope that has entries. Store.mu guards entries and names. name does
// not change.
type scope struct {
	name    string
	entries int64
	names   btree.Set[string] // the names of the entries in order, see index
}

// index says how far the store has come with its index: the names of each scope in
// order, which prefixes need. Store.mu guards it. A store has no index until the
// first call that needs a prefix. From then on it keeps one, also while it is empty:
//
//  1. While begun is set, every entry is added to the index in the critical section
//     that stores it, and taken out in the one that removes it.
//  2. rest walks over the entries that were stored when begun was set, and adds
//     each that it meets. It meets an entry at most once, in a critical section. An
//     entry that is removed before the walk reaches it is never added; one that is
//     removed later is taken out.
//  3. When rest is done, complete is set and the index has all names.
//
// The index holds names and not nodes, for two reasons. A replaced entry keeps its
// place without any work. And nodes of the tree share arrays after a split, so
// something that was removed from one node may stay reachable through its neighbour
// for a long time: a name costs little there, a value would cost more.
type index struct {
	begun, complete bool
	rest            walk
}

// indexLocked adds about a chunk of entries to the index, and reports whether the
// index is complete.
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

// enterLocked makes n an entry of the named scope. The scope has no entry of that
// key.
func (s *Store) enterLocked(n *node, name string) {
	x := s.scopes[name]
	if x == nil {
		x = &scope{name: strings.Clone(name)}
		s.scopes[x.name] = x
	}
	n.scope = x
	x.entries++
	if s.index.begun {
		x.names.Insert(n.name)
	}
}

// leaveLocked takes n out of its scope. The scope is removed with its last entry.
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

// between appends names to buffer, in order, until the buffer is full: those that
// begin with prefix, are not below from and not above last. It visits at most one
// name more than it appends.
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

// last returns the greatest name that begins with prefix, and whether there is one.
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

// prefixEnd returns the least string above all strings that begin with prefix. There
// is none if prefix is empty or consists of 0xff bytes.
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
