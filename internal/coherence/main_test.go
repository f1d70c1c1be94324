//go:build unix

package coherence_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/readthrough/readthrough/internal/proofs"
)

var (
	seedFlag   = flag.Uint64("coherence.seed", 0, "seed of the load; 0: a random one")
	fullFlag   = flag.Bool("coherence.full", false, "every scenario, also those that CI does not run, with at least 100,000 reads each")
	tablesFlag = flag.String("coherence.tables", "", "file to write the measured tables to, as Markdown")
	childFlag  = flag.Bool("coherence.child", false, "be a process of a fleet; for internal use")
)

// TestMain runs the tests, or is a process of a fleet that a test started.
func TestMain(m *testing.M) {
	flag.Parse()
	if *childFlag {
		if err := runChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "coherence:", err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	code := m.Run()
	if *tablesFlag != "" {
		if err := os.WriteFile(*tablesFlag, []byte(tables.markdown()), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "coherence:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// pickSeed returns the seed of a test and prints it.
func pickSeed(t *testing.T) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -coherence.seed=%d", seed)
	return seed
}

// sized returns a number for the full run, or one for the others.
func sized[N any](full, other N) N {
	if *fullFlag {
		return full
	}
	return other
}

// beyondTheFirst skips a fleet that `go test work` leaves out, and that CI runs.
func beyondTheFirst(t *testing.T) {
	t.Helper()
	if !*fullFlag {
		proofs.Require(t, "a fleet", "./internal/coherence")
		proofs.Unraced(t, "./internal/coherence")
	}
}
