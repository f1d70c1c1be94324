package mutants

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	declared := declaredTests(t, root)
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w*)").FindAllStringSubmatch(string(text), -1)
	assert.NotEmpty(t, named, "the page names no tests")
	for _, match := range named {
		assert.True(t, declared[match[1]], "there is no test %s", match[1])
	}
}

// declaredTests returns the names of the tests in a directory and those below it.
func declaredTests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
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
	return declared
}

// TestAnchors looks for the text of every mechanism, which has to be in its file once,
// and for every test that guards one. It runs nothing, and tells at once what a change
// of the code has broken.
func TestAnchors(t *testing.T) {
	noticeChanges(t)
	explored := map[string]bool{}
	for _, m := range slices.Concat(exploredMutants(), inPrograms(nearMutants()), inPrograms(membershipMutants())) {
		explored[m.name] = true
	}
	for name := range programs {
		assert.True(t, explored[name], "program of %q: there is no mutant of that name", name)
	}
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			mutants, tests, named := s.mutants(), declaredTests(t, filepath.Join(root, s.tests)), map[string]bool{}
			_, err := weave(t.TempDir(), s.mutated, mutants)
			require.NoError(t, err)
			for _, m := range mutants {
				assert.False(t, named[m.name], "mutant %q: there are two of that name", m.name)
				named[m.name] = true
				test, _, _ := strings.Cut(m.test, "/")
				assert.True(t, tests[test], "mutant %q: there is no test %s", m.name, test)
			}
		})
	}
}

// TestWeave checks that what makes no mutant is refused: it would guard nothing.
func TestWeave(t *testing.T) {
	source := []byte("package p\n\nvar x = 1\n\nfunc f() int { return x }\n\nfunc g() int { return x }\n\nfunc h() {\n\tf() // one\n\t// two\n\t/* three */\n\tg()\n}\n")
	tests := map[string]struct{ original, replacement, woven, problem string }{
		"text that is not there":      {original: "return y", problem: "0 times"},
		"text that is there twice":    {original: "return x", problem: "2 times"},
		"text outside of a function":  {original: "x = 1", problem: "not within a function"},
		"a function, with its result": {"f() int { return x", "f() int { return 2", `if chosenMutant == "m" { return 2 }`, ""},
		"comments between":            {"\tf()\n\tg()\n", "\tg()\n", "{\nif chosenMutant == \"m\" {\n\tg()\n\nreturn\n}\n\n\tf()\n\tg()\n}", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := mutant{name: "m", file: "p.go", original: tt.original, replacement: tt.replacement}
			woven, err := weaveFile("p.go", source, []mutant{m})
			switch {
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("%v, want an error about %q", err, tt.problem)
			case tt.problem == "" && (err != nil || !strings.Contains(string(woven), tt.woven)):
				t.Errorf("%v:\n%s", err, woven)
			}
		})
	}
}
