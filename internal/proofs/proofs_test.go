package proofs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		assert.Equal(t, want.skip, s.said, "%q: the reason of the skip", value)
		assert.Equal(t, want.size, proofs.Sized(1000, 1), "%q: size", value)
		assert.Equal(t, value == "1", proofs.All(), "%q: whether all proofs are asked for", value)
	}
}

// TestTooLittle checks that the reason is said, whatever the variable is.
func TestTooLittle(t *testing.T) {
	const want = "proves too little on this machine now: no hits"
	for _, value := range []string{"0", "1"} {
		t.Setenv(proofs.Variable, value)
		s := &skipped{}
		proofs.TooLittle(s, "no hits")
		assert.Equal(t, want, s.said, "the reason of the skip")
	}
}

// TestUnracedAreInCI: .ci/run has a command without the race detector, which names each test that skips itself with it.
// A test that it does not name would never run there.
func TestUnracedAreInCI(t *testing.T) {
	const root = "../.."
	script, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)
	_, list, _ := strings.Cut(string(script), "name=(")
	list, _, _ = strings.Cut(list, ")")
	named := strings.Fields(list)
	unraced := regexp.MustCompile(`proofs\.Unraced\(t, "-run \^Test(\w+)\$`)
	found := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range unraced.FindAllSubmatch(text, -1) {
			found++
			assert.Contains(t, named, string(match[1]), "what .ci/run tests without the race detector, and %s", path)
		}
		return err
	}))
	assert.Positive(t, found, "tests")
}
