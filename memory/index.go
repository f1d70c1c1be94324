package memory

import (
	"strings"

	"github.com/tidwall/btree"
)

// index has the names of the stored entries of each scope in order. A scope
// without entries has no state. The zero index is empty.
//
// It holds names and not entries, for two reasons. An entry that is replaced
// keeps its place without any work. And the nodes of the tree share arrays after
// a split, so that what was removed from one may be reachable through its
// neighbour for long: a name does little harm there, a value would.
type index struct {
	scopes map[string]*btree.Set[string]
}

// add adds a name, which may be there already.
func (x *index) add(scope, name string) {
	tree := x.scopes[scope]
	if tree == nil {
		if x.scopes == nil {
			x.scopes = make(map[string]*btree.Set[string])
		}
		tree = new(btree.Set[string])
		x.scopes[scope] = tree
	}
	tree.Insert(name)
}

// remove removes a name that is there.
func (x *index) remove(scope, name string) {
	tree := x.scopes[scope]
	tree.Delete(name)
	if tree.Len() > 0 {
		return
	}
	delete(x.scopes, scope)
	if len(x.scopes) == 0 {
		x.scopes = nil // a map keeps the room for all it ever held
	}
}

// names appends to buffer the names of scope that are not below from, begin
// with prefix, and are not above last, up to the buffer's capacity, in order.
// It visits one name more than it returns, at most.
func (x *index) names(buffer []string, scope, from, prefix, last string) []string {
	tree := x.scopes[scope]
	if tree == nil {
		return buffer
	}
	tree.Ascend(max(from, prefix), func(name string) bool {
		if len(buffer) == cap(buffer) || name > last || !strings.HasPrefix(name, prefix) {
			return false
		}
		buffer = append(buffer, name)
		return true
	})
	return buffer
}

// last returns the greatest name of scope that begins with prefix, and whether
// there is one.
func (x *index) last(scope, prefix string) (last string, found bool) {
	tree := x.scopes[scope]
	if tree == nil {
		return "", false
	}
	visit := func(name string) bool {
		if strings.HasPrefix(name, prefix) {
			last, found = name, true
			return false
		}
		return name > prefix // only the end itself may come before a match
	}
	if end, bounded := prefixEnd(prefix); bounded {
		tree.Descend(end, visit)
	} else {
		tree.Reverse(visit)
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
