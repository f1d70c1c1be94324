package readthrough_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs compiles and runs every Go program in the documents, and compares what
// it prints with the text block that follows it.
func TestDocs(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?s)```go\n(.*?)```\n(?:[^`]*?```text\n(.*?)```\n)?")
	found := 0
	for _, document := range append(documents, "README.md", "CONTRIBUTING.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range programs.FindAllStringSubmatch(string(text), -1) {
			found++
			t.Run(document, func(t *testing.T) {
				t.Parallel()
				if got := runProgram(t, block[1]); got != block[2] {
					t.Errorf("the program prints\n%s\nthe document says\n%s", got, block[2])
				}
			})
		}
	}
	if found == 0 {
		t.Fatal("no program found: README.md has one")
	}
}

// runProgram runs a program as if it were in a package of this module.
func runProgram(t *testing.T, source string) string {
	t.Helper()
	if !strings.HasPrefix(source, "package main") {
		t.Fatalf("not a program: %s", source)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	place, err := filepath.Abs("internal/document/main.go") // which exists only for this run
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: file}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", "-overlay="+overlayFile, "./internal/document")
	output, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return string(output)
}
