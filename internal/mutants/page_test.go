package mutants

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var write = flag.Bool("write", false, "write the tables of docs/proof.md")

// page is the document that has the tables of mutants.
const page = root + "/docs/proof.md"

// TestPage compares the tables of the page with the mutants; with -write, it writes
// them.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	updated := string(text)
	for _, s := range suites {
		begin, end := "<!-- mutants of "+s.name+", generated -->\n", "<!-- end -->\n"
		before, rest, found := strings.Cut(updated, begin)
		_, after, ended := strings.Cut(rest, end)
		require.True(t, found, "the page has no place for the mutants of %s", s.name)
		require.True(t, ended, "the page has no place for the mutants of %s", s.name)
		updated = before + begin + s.table() + end + after
	}
	if *write {
		require.NoError(t, os.WriteFile(page, []byte(updated), 0o644)) //nolint:gosec // a document
		return
	}
	assert.Equal(t, string(text), updated, "the tables of docs/proof.md are not those of the mutants: go test ./internal/mutants -run TestPage -write")
}

// table returns the table of the mutants of a suite.
func (s *suite) table() string {
	var b strings.Builder
	b.WriteString("| Mechanism | For | Taken out of | Test that fails without it |\n|---|---|---|---|\n")
	for _, m := range s.mutants() {
		test := strings.ReplaceAll(m.test, "_", " ")
		fmt.Fprintf(&b, "| %s | %s | `%s` | `%s` |\n", m.name, m.guarantees, filepath.ToSlash(filepath.Join(s.mutated, m.file)), test)
	}
	return b.String()
}

// TestPageNamesTests looks for the tests that the page names.
func TestPageNamesTests(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			declared[string(match[1])] = true
		}
		return err
	})
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w*)").FindAllStringSubmatch(string(text), -1)
	assert.NotEmpty(t, named, "the page names no tests")
	for _, match := range named {
		assert.True(t, declared[match[1]], "there is no test %s", match[1])
	}
}

// TestWeave checks that what makes no mutant is refused: it would guard nothing.
func TestWeave(t *testing.T) {
	source := []byte("package p\n\nvar x = 1\n\nfunc f() int { return x }\n\nfunc g() int { return x }\n")
	tests := map[string]struct{ original, problem string }{
		"text that is not there":      {"return y", "0 times"},
		"text that is there twice":    {"return x", "2 times"},
		"text outside of a function":  {"x = 1", "not within a function"},
		"a function, with its result": {"f() int { return x", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := mutant{name: "m", file: "p.go", original: tt.original, replacement: "f() int { return 2"}
			woven, err := weaveFile("p.go", source, []mutant{m})
			switch {
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("%v, want an error about %q", err, tt.problem)
			case tt.problem == "" && (err != nil || !strings.Contains(string(woven), `if chosenMutant == "m" { return 2 }`)):
				t.Errorf("%v:\n%s", err, woven)
			}
		})
	}
}
