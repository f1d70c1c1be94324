// Command pictures draws the pictures of the documents, from the root of the repository:
//
//	go run ./internal/pictures
//
// Its test fails if a picture in docs/pictures is not the one that the program draws.
package main

import (
	"log"
	"os"
	"path/filepath"
)

func main() {
	for name, picture := range pictures() {
		if err := os.WriteFile(filepath.Join("docs", "pictures", name), picture.svg(), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}

// pictures returns all pictures, by the name of their file.
func pictures() map[string]sequence {
	return map[string]sequence{"read.svg": read(), "mutation.svg": mutation()}
}

// The lanes of the pictures, from left to right.
const (
	reader = iota
	near
	far
	source
)

// read is a read of a cold key, and where it ends earlier.
func read() sequence {
	return sequence{
		title: "A read: users.Get(ctx, 42)",
		lanes: []lane{{"readers", "1,000 of them"}, {"near", "own memory"}, {"far", "Redis, shared"}, {"source", "your function"}},
		steps: []step{
			{from: reader, to: near, text: "get"},
			{from: near, to: reader, text: "hit: done", kind: answer},
			{from: near, to: far, text: "miss: get"},
			{from: far, to: reader, text: "hit: done, one round trip", kind: answer},
			{from: reader, to: far, text: "miss: one reader takes the lease"},
			{from: reader, to: reader, text: "the others wait for its load"},
			{from: reader, to: source, text: "load, once: SELECT … WHERE id = 42"},
			{from: source, to: far, text: "fill", kind: good},
			{from: far, to: far, text: "stored only if the lease is still there", kind: good},
			{from: source, to: reader, text: "the value, for every reader that waits", kind: answer},
		},
	}
}

// The lanes of the picture of a mutation.
const (
	writer = iota
	database
	store
	other
)

// mutation is a mutation during a load that has read the old row.
func mutation() sequence {
	return sequence{
		title: "A change: write, invalidate, emit",
		lanes: []lane{{"writer", "Mutate"}, {"database", ""}, {"Redis", "entries, leases"}, {"readers", "any process"}},
		steps: []step{
			{from: other, to: database, text: "a load reads the old row", kind: answer},
			{from: writer, to: database, text: "1 db.write", kind: good},
			{from: writer, to: store, text: "2 Invalidate: entry and lease go", kind: good},
			{from: store, to: writer, text: "confirmed. Until then it waits", kind: answer},
			{from: writer, to: writer, text: "no answer: pending, and retried"},
			{from: other, to: store, text: "the late fill", kind: refused},
			{from: store, to: store, text: "refused: its lease is gone", kind: refused},
			{from: writer, to: other, text: "3 emit: user 42 has changed", kind: good},
			{from: other, to: database, text: "a read begins: miss, load", kind: answer},
			{from: database, to: other, text: "the new row. Never the old one", kind: good},
		},
	}
}
