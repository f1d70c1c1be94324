package main

import (
	"log"
	"strings"
	"testing"
	"time"
)

// TestSoak checks that a step that fails fails the soak, and is printed as a whole.
func TestSoak(t *testing.T) {
	var out strings.Builder
	good := step{"good", "two", []string{"printf", `one\ntwo\n`}}
	bad := step{"bad", "two", []string{"sh", "-c", "echo three; exit 7"}}
	for _, tt := range []struct {
		steps []step
		want  bool
	}{{[]step{good}, true}, {[]step{good, bad, good}, false}} {
		out.Reset()
		if got := soak(t.Context(), log.New(&out, "", 0), tt.steps); got != tt.want {
			t.Errorf("soak = %v, want %v:\n%s", got, tt.want, &out)
		}
	}
	text := out.String()
	if strings.Contains(text, "\none\n") || strings.Count(text, "\ntwo\n") != 2 || !strings.Contains(text, "\nthree\nbad: exit status 7") {
		t.Errorf("it prints\n%s", text)
	}
}

// TestSteps checks that every step gets the seed or needs none.
func TestSteps(t *testing.T) {
	for _, s := range steps(42, time.Minute) {
		command := strings.Join(s.args, " ")
		random := !strings.Contains(command, "check.sh") && !strings.Contains(command, "mutants") && !strings.Contains(command, "-fuzz=")
		if random != strings.Contains(command, "seed=42") {
			t.Errorf("%s: %s", s.name, command)
		}
	}
}
