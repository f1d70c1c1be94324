package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const folder = "../../docs/pictures"

// TestPictures: the pictures of the documents are those that the program draws, and there are no others.
func TestPictures(t *testing.T) {
	drawn := pictures()
	for name, picture := range drawn {
		there, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err, "go run ./internal/pictures draws it")
		svg := picture.svg()
		assert.Equal(t, string(svg), string(there), "%s is not what the program draws: go run ./internal/pictures", name)
		var document struct {
			Title string `xml:"title"`
		}
		require.NoError(t, xml.Unmarshal(svg, &document), name)
		assert.Equal(t, picture.title, document.Title)
	}
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, file := range files {
		assert.Contains(t, drawn, file.Name(), "nothing draws this file")
	}
}

// TestTextsFit: no text is wider than the picture, and each step is between lanes.
func TestTextsFit(t *testing.T) {
	for name, picture := range pictures() {
		for _, step := range picture.steps {
			assert.LessOrEqual(t, 6.6*float64(len([]rune(step.text))), float64(width-2*margin), "%s: %q", name, step.text)
			assert.Less(t, max(step.from, step.to), len(picture.lanes), "%s: %q", name, step.text)
		}
	}
}

// TestShown: every picture is shown by a document.
func TestShown(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	var all strings.Builder
	for _, document := range append(documents, "../../README.md") {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		all.Write(text)
	}
	for name := range pictures() {
		assert.Contains(t, all.String(), "pictures/"+name+")", "no document shows it")
	}
}
