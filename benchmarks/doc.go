// Package benchmarks compares readthrough with other cache libraries, and with
// the least that a cache can do. It contains only tests:
//
//	go test -bench . ./...
//
// runs every benchmark once. Sub-benchmarks are named workload/library. The
// page of results, docs/benchmarks.md, is written by
//
//	go run ./cmd/compare
//
// which repeats the benchmarks in rounds and compares their medians.
//
// Beside the benchmarks, the module has the programs behind three pages: simulation
// and stepbystep run options in virtual time, and migrating and byhand run other
// caches through the situations in which they differ.
//
// The module is nested, so that the library does not depend on other caches. It
// has its own workspace: run commands inside its folder.
package benchmarks
