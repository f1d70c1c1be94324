package readthrough_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocs compiles and runs every Go program in the documents, and compares what
// it prints with the text block that follows it.
func TestDocs(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	programs := regexp.MustCompile("(?s)```go\n(.*?)```\n(?:[^`]*?```text\n(.*?)```\n)?")
	found := 0
	for _, document := range append(documents, "README.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, block := range programs.FindAllStringSubmatch(string(text), -1) {
			found++
			t.Run(document, func(t *testing.T) {
				t.Parallel()
				assert.Equal(t, block[2], runProgram(t, block[1]), "what the program prints is not what the document says")
			})
		}
	}
	require.NotZero(t, found, "no program found: README.md has one")
}

// runProgram runs a program as if it were in a package of this module.
func runProgram(t *testing.T, source string) string {
	t.Helper()
	require.Regexp(t, "^package main", source, "not a program")
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	place, err := filepath.Abs("internal/document/main.go") // which exists only for this run
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: file}})
	require.NoError(t, err)
	overlayFile := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlayFile, overlay, 0o600))
	run := exec.CommandContext(t.Context(), "go", "run", "-overlay="+overlayFile, "./internal/document")
	output, err := run.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return string(output)
}
