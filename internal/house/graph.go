package main

import (
	"cmp"
	"go/token"
	"go/types"
	"maps"
	"slices"
)

// use is an identifier in one file for something that another file declares.
type use struct {
	from, to string // files
	object   types.Object
	at       token.Pos
}

// uses returns every use of one file by another, in the order of positions. Types,
// functions, variables and constants of the package count, and so do methods and
// fields. What is local to a function has no use elsewhere. What a selector passes on
// its way to a promoted field or method is not written, and does not count.
func (t *tree) uses() []use {
	var all []use
	for id := range t.info.Uses {
		if object := t.resolve(id); object != nil {
			if from, to := t.file(id.Pos()), t.file(object.Pos()); from != to {
				all = append(all, use{from, to, object, id.Pos()})
			}
		}
	}
	slices.SortFunc(all, func(a, b use) int { return cmp.Compare(a.at, b.at) })
	return all
}

// graph has the files that a file uses.
type graph map[string]map[string]bool

// graphOf returns the graph of uses.
func graphOf(uses []use) graph {
	g := make(graph)
	for _, u := range uses {
		if g[u.from] == nil {
			g[u.from] = make(map[string]bool)
		}
		g[u.from][u.to] = true
	}
	return g
}

// pairs counts the ordered pairs of files of which the first uses the second.
func (g graph) pairs() int {
	n := 0
	for _, to := range g {
		n += len(to)
	}
	return n
}

// reach adds to reached the files that from uses, directly or through others.
func (g graph) reach(from string, reached map[string]bool) map[string]bool {
	for to := range g[from] {
		if !reached[to] {
			reached[to] = true
			g.reach(to, reached)
		}
	}
	return reached
}

// knots returns the strongly connected components of more than one file, the largest
// first: sets of files that all reach each other.
func (g graph) knots() [][]string {
	reach := make(map[string]map[string]bool)
	for file := range g {
		reach[file] = g.reach(file, make(map[string]bool))
	}
	var knots [][]string
	tied := make(map[string]bool)
	for _, file := range slices.Sorted(maps.Keys(g)) {
		if tied[file] || !reach[file][file] {
			continue
		}
		var knot []string
		for _, other := range slices.Sorted(maps.Keys(reach[file])) {
			if reach[other][file] {
				knot, tied[other] = append(knot, other), true
			}
		}
		knots = append(knots, knot)
	}
	slices.SortStableFunc(knots, func(a, b []string) int { return cmp.Compare(len(b), len(a)) })
	return knots
}
