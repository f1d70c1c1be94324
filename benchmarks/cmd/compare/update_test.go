package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUpdate replaces one section, adds one, and leaves the others as they are.
func TestUpdate(t *testing.T) {
	folder := t.TempDir()
	const old = "# Measured\n\nHead.\n\n## Hits in memory\n\nold\n\n## Misses\n\nstays\n\n## Versions\n\nold\n"
	file := filepath.Join(folder, "benchmarks.md")
	require.NoError(t, os.WriteFile(file, []byte(old), 0o600))
	p := &page{charts: make(map[string][]byte), modules: []string{"example.com/m v1"}, results: parse([]byte(`command: go run
date: 2026-01-02
BenchmarkHit/keys=1000/one/readthrough-2  100  300 ns/op  500 cpu-ns/op  0 allocs/op
BenchmarkNearHit/one/readthrough-2  100  300 ns/op  500 cpu-ns/op  0 allocs/op
`))}
	require.NoError(t, p.update(folder))
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(page)
	assert.True(t, strings.HasPrefix(text, "# Measured\n\nHead.\n\n## Hits in memory\n\n*Measured apart"), text)
	assert.Contains(t, text, "on 2026-01-02: `go run`, one round.*\n\n")
	assert.Contains(t, text, "## Misses\n\nstays\n\n## Hits in memory in front of Redis\n\n*Measured apart")
	assert.NotContains(t, text, "old")
	assert.Equal(t, 1, strings.Count(text, "## Versions"))
	assert.FileExists(t, filepath.Join(folder, charts, "hits-in-memory.svg"))
	once := text
	require.NoError(t, p.update(folder))
	page, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, once, string(page), "a second update")
}
