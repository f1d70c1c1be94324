package cachetest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPage runs what docs/cachetest.md shows as its readers would: in a module of
// their own. The test in it has to fail with the counterexample of the page.
func TestPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/cachetest.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)~~~[a-z]+\n(.*?)~~~\n").FindAllSubmatch(page, -1)
	require.Len(t, blocks, 3, "blocks of the page: a cache, a test, and what that prints")
	library, err := filepath.Abs("..")
	require.NoError(t, err)
	sums, err := os.ReadFile("../go.sum")
	require.NoError(t, err)
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"cache.go": blocks[0][1], "cache_test.go": blocks[1][1], "go.sum": sums,
		"go.mod": fmt.Appendf(nil, "module example.com/users\n\ngo 1.26\n\nrequire github.com/readthrough/readthrough v0.0.0\n\n"+
			"replace github.com/readthrough/readthrough => %s\n", library),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	command := exec.CommandContext(t.Context(), "go", "test", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	output, err := command.CombinedOutput()
	require.Error(t, err, "the test of the page passes")
	varies := regexp.MustCompile(`(?m)^(FAIL.*| *)\n|\(\d+\.\d+s\)`)
	got, want := varies.ReplaceAllString(string(output), ""), varies.ReplaceAllString(string(blocks[2][1]), "")
	assert.Equal(t, want, got, "what it prints is not what the page says")
}
