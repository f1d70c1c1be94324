// Package benchmarks measures readthrough side by side with other cache
// libraries, and with the least that a cache can do. It consists of tests only:
//
//	go test -bench . ./...
//
// runs everything once. Sub-benchmarks are named workload/library. The results
// page, docs/benchmarks.md, is made by
//
//	go run ./cmd/compare
//
// which repeats the benchmarks in rounds and compares their medians.
//
// The module is nested so that the library depends on no other cache, and has a
// workspace of its own: commands work from inside its folder.
package benchmarks
