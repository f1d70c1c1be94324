package proofs_test

import (
	"fmt"
	"testing"

	"github.com/readthrough/readthrough/internal/proofs"
)

// skipped records how a test was skipped.
type skipped struct {
	testing.TB

	said string
}

func (*skipped) Helper() {}

func (s *skipped) Skipf(format string, args ...any) { s.said = fmt.Sprintf(format, args...) }

// TestLeftOut checks that what is left out is named, with the command that runs it,
// and that the command does.
func TestLeftOut(t *testing.T) {
	for value, want := range map[string]struct {
		skip string
		size int
	}{
		"":  {"left out: a proof; to run it: READTHROUGH_PROOFS=1 go test -run ^TestProof$ ./here", 1},
		"0": {"left out: a proof; to run it: READTHROUGH_PROOFS=1 go test -run ^TestProof$ ./here", 1},
		"1": {"", 1000},
	} {
		t.Setenv(proofs.Variable, value)
		s := &skipped{}
		proofs.Require(s, "a proof", "-run ^TestProof$ ./here")
		if s.said != want.skip {
			t.Errorf("%q: skipped with %q, want %q", value, s.said, want.skip)
		}
		if got := proofs.Sized(1000, 1); got != want.size {
			t.Errorf("%q: size %d, want %d", value, got, want.size)
		}
		if got := proofs.All(); got != (value == "1") {
			t.Errorf("%q: all proofs: %v", value, got)
		}
	}
}

// TestTooLittle checks that the reason is said, whatever the variable is.
func TestTooLittle(t *testing.T) {
	const want = "proves too little on this machine now: no hits"
	for _, value := range []string{"0", "1"} {
		t.Setenv(proofs.Variable, value)
		s := &skipped{}
		if proofs.TooLittle(s, "no hits"); s.said != want {
			t.Errorf("skipped with %q, want %q", s.said, want)
		}
	}
}
