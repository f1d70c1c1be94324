package stablekey

import (
	"slices"
	"strings"
)

// member is a member of an object. The buffer has it at [start, end).
type member struct {
	name       string
	start, end int
}

// sortMembers sorts the members that begin at from by name and separates them
// by commas. They were written in any order and without commas. If a name
// occurs twice, sortMembers returns it and false.
func (e *encoder) sortMembers(from int, members []member) (twice string, ok bool) {
	if len(members) == 0 {
		return "", true
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	e.scratch = append(e.scratch[:0], e.buf[from:]...)
	e.buf = e.buf[:from]
	for i, m := range members {
		if i > 0 {
			if members[i-1].name == m.name {
				return m.name, false
			}
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, e.scratch[m.start-from:m.end-from]...)
	}
	return "", true
}
