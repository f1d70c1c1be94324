//go:build !race

package readthrough_test

const raceEnabled = false
