package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// total is a sum of numbers in the output of a step.
type total struct {
	of string // what is counted
	// pattern finds the parts. If it has a group, the group matches a number;
	// without a group, each match counts as one.
	pattern string
	// last means that each number replaces the one before.
	last bool
}

// in returns the total in the output of a step.
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

// number parses a number. Spin prints a large number as a floating-point one.
func number(text string) int {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return int(n)
}

// tooLittle is what a test prints that was skipped because the machine was too slow.
const tooLittle = "proves too little"

// sums returns the totals of a step as text. A total of zero is an error: the step
// did nothing, or its output has changed. So is a test that proved too little.
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

// commas formats a number with a comma before every three digits.
func commas(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
