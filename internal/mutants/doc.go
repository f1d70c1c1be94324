// Package mutants takes out, one at a time, the mechanisms that the guarantees of
// the library rest on, and requires that a test fails without each. It has tests
// only.
//
// The library has no switch for that. A mutant is a part of a file and what takes
// its place. All mutants of a package are woven into changed copies of its files,
// which the go command compiles in place of the originals: each function that has
// mutants then begins with what runs instead of it when a variable of the
// environment names one of them. So a package is compiled once, and a mutant costs
// no more than the tests that guard it.
package mutants
