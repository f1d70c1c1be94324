// Package proofs decides how much the tests prove. `go test work` leaves out what
// takes minutes, or does less of it, and says so; with the variable
// READTHROUGH_PROOFS=1 of the environment, which .ci/run and internal/soak set,
// everything runs in its long form.
//
// It also says what becomes of a run that proves too little because the machine was
// slow: it is skipped, with the reason. It is no failure, and .ci/run, which does not
// accept a skip that it does not know, makes it one.
package proofs

import (
	"os"
	"testing"
	"time"

	"github.com/readthrough/readthrough/internal/race"
)

// Variable is the variable of the environment that asks for all proofs, if it is 1.
const Variable = "READTHROUGH_PROOFS"

// MutantVariable is the variable of the environment that names the mechanism that is missing in this run of tests, if any.
const MutantVariable = "READTHROUGH_MUTANT"

// Patience is how long a test waits for what has to come. It is long: on a busy machine, nothing comes in time. Without a
// mechanism it often never comes, and a test that fails because of that does so soon.
func Patience() time.Duration {
	if os.Getenv(MutantVariable) != "" { //nolint:forbidigo // how TestMutants says which run this is
		return 10 * time.Second
	}
	return 2 * time.Minute
}

// All reports whether all proofs are asked for.
func All() bool {
	return os.Getenv(Variable) == "1" //nolint:forbidigo // how CI says that nothing may be left out
}

// Require skips the test unless all proofs are asked for. The line that it leaves says
// what was left out, and which command runs it: go test with arguments.
func Require(tb testing.TB, what, arguments string) {
	tb.Helper()
	if !All() {
		tb.Skipf("left out: %s; to run it: %s=1 go test %s", what, Variable, arguments)
	}
}

// Unraced skips the test in a program with the race detector. It takes minutes with it, and is about an order of events that
// the test itself decides, or about other processes. Other tests run the same code under the detector. .ci/run runs
// it without the detector: go test with arguments.
func Unraced(tb testing.TB, arguments string) {
	tb.Helper()
	if race.Enabled {
		tb.Skipf("left out: it takes minutes with the race detector; to run it without: %s=1 go test %s", Variable, arguments)
	}
}

// Sized returns the size of a proof: long if all proofs are asked for, otherwise
// short.
func Sized[N any](long, short N) N {
	if All() {
		return long
	}
	return short
}

// TooLittle skips the test because it has proved too little so far, for a reason that
// lies in the machine. Before that, the test goes on for as long as it reasonably can.
// A test that has failed already stays failed.
func TooLittle(tb testing.TB, why string) {
	tb.Helper()
	tb.Skipf("proves too little on this machine now: %s", why)
}
