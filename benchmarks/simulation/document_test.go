package simulation_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const docs = "../../docs"

// publishTable writes a table into the document, between the marks with its name, or
// compares it with the one that is there.
func publishTable(t *testing.T, name, table string) {
	t.Helper()
	file := filepath.Join(docs, "serving.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), "<!-- simulation: "+name+" -->\n")
	there, after, closed := strings.Cut(rest, "<!-- end -->\n")
	require.True(t, found, "%s has no place for the table %q", file, name)
	require.True(t, closed, "%s has no place for the table %q", file, name)
	block := fmt.Sprintf("`cd benchmarks && go test ./simulation -seed %d -write` prints\n\n%s", *seed, table)
	switch {
	case *write:
		document := strings.Replace(string(text), there+"<!-- end -->\n"+after, block+"<!-- end -->\n"+after, 1)
		require.True(t, strings.HasPrefix(document, before), "%s: the table %q is not where it was looked for", file, name)
		require.NoError(t, os.WriteFile(file, []byte(document), 0o644))
	case *seed == documented:
		compareTables(t, there, block)
	}
}

// compareTables fails unless the tables are the same, but for the rows in which the
// cache draws: these may differ a little.
func compareTables(t *testing.T, documented, measured string) {
	t.Helper()
	was, is := strings.Split(documented, "\n"), strings.Split(measured, "\n")
	require.Len(t, was, len(is), "lines of the document and of this run:\n%s", measured)
	for i := range was {
		if was[i] != is[i] {
			assert.True(t, drawn(is[i]) && near(was[i], is[i]), "the document says\n%s\nand this run\n%s", was[i], is[i])
		}
	}
}

// drawn reports whether a row is that of a strategy that draws.
func drawn(row string) bool {
	for _, s := range strategies() {
		if s.draws && strings.HasPrefix(row, "| "+s.name+" |") {
			return true
		}
	}
	return false
}

// near reports whether the numbers of two rows are about the same.
func near(a, b string) bool {
	was, is := strings.Split(a, "|"), strings.Split(b, "|")
	if len(was) != len(is) {
		return false
	}
	for i := range was {
		if was[i] == is[i] {
			continue
		}
		x, errX := number(was[i])
		y, errY := number(is[i])
		if errX != nil || errY != nil || math.Abs(x-y) > 0.1+0.2*max(x, y) {
			return false
		}
	}
	return true
}

func number(cell string) (float64, error) {
	fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(cell), "< "))
	if len(fields) == 0 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(fields[0], 64)
}

// publishPlot writes a plot, or compares it with the one that is there, of which so
// many elements may differ.
func publishPlot(t *testing.T, name string, chart interface{ SVG() ([]byte, error) }, mayDiffer int) {
	t.Helper()
	svg, err := chart.SVG()
	require.NoError(t, err)
	file := filepath.Join(docs, "plots", name+".svg")
	if *write {
		require.NoError(t, os.WriteFile(file, svg, 0o644))
		return
	}
	if *seed != documented {
		return
	}
	there, err := os.ReadFile(file)
	require.NoError(t, err)
	was, is := strings.Split(string(there), "\n"), strings.Split(string(svg), "\n")
	differ := 0
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			differ++
		}
	}
	assert.Equal(t, len(is), len(was), "lines of %s and of what this run draws", file) //nolint:testifylint // not to print them all
	assert.LessOrEqual(t, differ, mayDiffer, "elements in which %s differs from what this run draws; some may, which the cache draws at random", file)
}
