// Command skips reads what go test -json prints, prints what go test would, and fails
// if a test was skipped for a reason that is not expected: one of those that the
// arguments match, as regular expressions. A run that leaves something out does not
// pass for one that has seen it hold.
//
//	go test -json ./... | go run ./internal/skips 'does not apply to it$'
//
// It ends with an error if a package has failed, too. At the end it prints the tests that took longest.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	expected, err := compile(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	if err := check(os.Stdin, os.Stdout, expected); err != nil {
		log.Fatal(err)
	}
}

func compile(patterns []string) (expected []*regexp.Regexp, err error) {
	for _, pattern := range patterns {
		r, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		expected = append(expected, r)
	}
	return expected, nil
}

// event is a line of go test -json; go doc test2json describes it.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds
}

// test is one, or with an empty name, what a package says besides.
type test struct{ pkg, name string }

// duration is how long a test took.
type duration struct {
	test

	seconds float64
}

// slowest is how many of the tests that took longest are printed, if they took at least a second.
const slowest = 20

// checker is what is known while events arrive.
type checker struct {
	out      io.Writer
	expected []*regexp.Regexp
	said     map[test][]string // by tests that are under way
	failed   int               // packages
	skipped  int               // tests, for reasons that are expected
	took     []duration        // of tests that are no subtests
	problems []string          // tests that were skipped for others
}

// check reads events, prints what the failed tests have said, and a line for each
// package.
func check(in io.Reader, out io.Writer, expected []*regexp.Regexp) error {
	c := &checker{out: out, expected: expected, said: make(map[test][]string)}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := c.line(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return c.result()
		}
		if err != nil {
			return err
		}
	}
}

func (c *checker) line(line string) error {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		return c.print(line) // of the go command itself
	}
	at := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		return c.print(e.Output)
	case "output":
		c.said[at] = append(c.said[at], e.Output)
	case "pass", "fail", "skip":
		said := c.said[at]
		delete(c.said, at)
		return c.ended(e, said)
	}
	return nil
}

// ended takes note of the end of a test or a package, and of what it has said.
func (c *checker) ended(e event, said []string) error {
	if e.Test != "" && !strings.Contains(e.Test, "/") && e.Elapsed >= 1 {
		c.took = append(c.took, duration{test{e.Package, e.Test}, e.Elapsed})
	}
	switch {
	case e.Test != "" && e.Action == "skip":
		reason := strings.TrimSpace(strings.Join(slices.DeleteFunc(said, isFrame), ""))
		if !slices.ContainsFunc(c.expected, func(r *regexp.Regexp) bool { return r.MatchString(reason) }) {
			c.problems = append(c.problems, fmt.Sprintf("%s in %s: %s", e.Test, e.Package, reason))
			return nil
		}
		c.skipped++
	case e.Test != "" && e.Action == "fail":
		return c.print(strings.Join(said, ""))
	case e.Test == "" && e.Action == "fail":
		c.failed++
		for at, more := range c.said { // of tests that a panic has ended
			if at.pkg == e.Package {
				said = slices.Concat(more, said)
			}
		}
		return c.print(strings.Join(said, ""))
	case e.Test == "" && len(said) > 0:
		return c.print(said[len(said)-1])
	}
	return nil
}

// isFrame reports whether a line is of go test, and not of the test.
func isFrame(line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
}

func (c *checker) print(text string) error {
	_, err := io.WriteString(c.out, text)
	return err
}

func (c *checker) result() error {
	if err := c.printSlowest(); err != nil {
		return err
	}
	if len(c.problems) > 0 {
		return fmt.Errorf("%d packages failed, and these tests were skipped:\n%s", c.failed, strings.Join(c.problems, "\n"))
	}
	if c.failed > 0 {
		return fmt.Errorf("%d packages failed", c.failed)
	}
	return c.print(fmt.Sprintf("%d tests were skipped, all for reasons that are expected\n", c.skipped))
}

// printSlowest prints the tests that took longest: they are where a run can be made shorter.
func (c *checker) printSlowest() error {
	slices.SortStableFunc(c.took, func(a, b duration) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, d := range c.took[:min(len(c.took), slowest)] {
		if err := c.print(fmt.Sprintf("%6.1f s  %s in %s\n", d.seconds, d.name, d.pkg)); err != nil {
			return err
		}
	}
	return nil
}
