//go:build unix

package coherence_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// tables collects what was measured.
var tables = &tableSet{}

type tableSet struct {
	mu     sync.Mutex // guards following
	tables []*table
}

// table is a table with named rows and columns, in the order in which they were
// first used.
type table struct {
	title         string
	rows, columns []string
	cells         map[[2]string]string
}

// put sets a cell.
func (s *tableSet) put(title, row, column, cell string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var t *table
	for _, other := range s.tables {
		if other.title == title {
			t = other
		}
	}
	if t == nil {
		t = &table{title: title, cells: make(map[[2]string]string)}
		s.tables = append(s.tables, t)
	}
	t.rows, t.columns = with(t.rows, row), with(t.columns, column)
	t.cells[[2]string{row, column}] = cell
}

func with(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// markdown returns all tables.
func (s *tableSet) markdown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, t := range s.tables {
		fmt.Fprintf(&b, "### %s\n\n| |", t.title)
		for _, column := range t.columns {
			fmt.Fprintf(&b, " %s |", column)
		}
		b.WriteString("\n|" + strings.Repeat("---|", len(t.columns)+1) + "\n")
		for _, row := range t.rows {
			fmt.Fprintf(&b, "| %s |", row)
			for _, column := range t.columns {
				cell := t.cells[[2]string{row, column}]
				if cell == "" {
					cell = "–"
				}
				fmt.Fprintf(&b, " %s |", cell)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}
