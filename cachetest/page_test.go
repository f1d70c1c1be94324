package cachetest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestPage runs what docs/cachetest.md shows as its readers would: in a module of
// their own. The test in it has to fail with the counterexample of the page.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/cachetest.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)~~~[a-z]+\n(.*?)~~~\n").FindAllSubmatch(page, -1)
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks, want a cache, a test, and what that prints", len(blocks))
	}
	library, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"cache.go": blocks[0][1], "cache_test.go": blocks[1][1], "go.sum": sums,
		"go.mod": fmt.Appendf(nil, "module example.com/users\n\ngo 1.26\n\nrequire github.com/readthrough/readthrough v0.0.0\n\n"+
			"replace github.com/readthrough/readthrough => %s\n", library),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "test", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	output, err := command.CombinedOutput()
	if err == nil {
		t.Fatal("the test of the page passes")
	}
	varies := regexp.MustCompile(`(?m)^(FAIL.*| *)\n|\(\d+\.\d+s\)`)
	got, want := varies.ReplaceAllString(string(output), ""), varies.ReplaceAllString(string(blocks[2][1]), "")
	if got != want {
		t.Errorf("it prints\n%s\nthe page says\n%s", got, want)
	}
}
