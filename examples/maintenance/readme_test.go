package main

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "record the tour in README.md")

// The marks around the recorded tour in README.md.
const (
	beginMark = "TestDemo/memory -update -->\n```text\n"
	endMark   = "```\n<!-- end"
)

// checkRecorded compares what the tour printed with what README.md says that it
// prints, apart from measurements.
func checkRecorded(t *testing.T, printed string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	before, rest, _ := strings.Cut(string(readme), beginMark)
	recorded, after, ok := strings.Cut(rest, endMark)
	require.True(t, ok, "README.md has no marks around the recorded tour")
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(before+beginMark+printed+endMark+after), 0o644))
		return
	}
	got, want := withoutNumbers(printed), withoutNumbers(recorded)
	assert.Equal(t, want, got, "README.md has another tour: record this one with -update")
}

var number = regexp.MustCompile(`([0-9]+m)?[0-9][0-9.:]*(ms|µs|s\b)?( quer)?`)

var cause = regexp.MustCompile(`cause=("[^"]*"|\S*)|Ping says .*`)

// withoutNumbers leaves out what differs from run to run. How many queries
// something cost is no such number.
func withoutNumbers(text string) string {
	text = cause.ReplaceAllString(text, "#") // a connection that is cut ends in several ways
	return number.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasSuffix(found, " quer") {
			return found
		}
		return "#"
	})
}
