// Package document keeps what a program has made in a page of the documentation, between two marks:
//
//	<!-- table: outcomes -->
//	…
//	<!-- end -->
package document

import (
	"fmt"
	"os"
	"strings"
)

// Write puts text between the marks with a name, such as "table: outcomes", in a page.
func Write(page, name, text string) error {
	before, _, after, err := find(page, name)
	if err != nil {
		return err
	}
	return os.WriteFile(page, []byte(before+text+after), 0o600)
}

// Read returns what is between the marks with a name.
func Read(page, name string) (string, error) {
	_, there, _, err := find(page, name)
	return there, err
}

func find(page, name string) (before, there, after string, err error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return "", "", "", err
	}
	mark := "<!-- " + name + " -->\n"
	before, rest, found := strings.Cut(string(text), mark)
	there, after, closed := strings.Cut(rest, "<!-- end -->\n")
	if !found || !closed {
		return "", "", "", fmt.Errorf("document: %s has no place for %q", page, name)
	}
	return before + mark, there, "<!-- end -->\n" + after, nil
}

// Code returns a Go file below its imports, as a block of a page.
func Code(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	_, code, found := strings.Cut(string(text), "\n)\n\n")
	if !found {
		return "", fmt.Errorf("document: %s has no imports", file)
	}
	return "```golang\n" + strings.ReplaceAll(code, "\t", "    ") + "```\n", nil
}
