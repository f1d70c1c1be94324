package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// total is a number that a step prints in parts.
type total struct {
	of string // what is counted
	// pattern finds the parts: what its group matches are numbers; without a group,
	// each match counts as one.
	pattern string
	// last says that each number says more than the one before.
	last bool
}

// in returns the total in what a step has printed.
func (t *total) in(output string) int {
	sum := 0
	for _, match := range regexp.MustCompile("(?m)"+t.pattern).FindAllStringSubmatch(output, -1) {
		n := 1
		if len(match) > 1 {
			n = number(match[1])
		}
		if t.last {
			sum = 0
		}
		sum += n
	}
	return sum
}

// number reads a number, which spin prints as a floating-point one if it is large.
func number(text string) int {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return int(n)
}

// tooLittle is what a test says that was skipped because the machine was too slow.
const tooLittle = "proves too little"

// sums returns the totals of a step as a text. It is an error if one of them is
// nothing: either the step has done nothing, or what it prints has changed; and if a
// test of it was too slow to prove anything.
func (s *step) sums(output string) (text string, err error) {
	var parts []string
	for _, t := range s.totals {
		n := t.in(output)
		if n == 0 && err == nil {
			err = fmt.Errorf("no %s", t.of)
		}
		parts = append(parts, commas(n)+" "+t.of)
	}
	if err == nil && strings.Contains(output, tooLittle) {
		err = errors.New("a test was skipped that " + tooLittle)
	}
	return strings.Join(parts, ", "), err
}

// commas writes a number with a comma before each three digits.
func commas(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
