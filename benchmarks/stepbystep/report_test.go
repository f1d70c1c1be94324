package stepbystep_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/benchmarks/internal/document"
	"github.com/readthrough/readthrough/benchmarks/internal/plot"
)

const docs = "../../docs"

// TestStepByStep runs all steps, checks what the page says about them, and compares its table and plots.
func TestStepByStep(t *testing.T) {
	t.Logf("seed %d", *seed)
	var lives []life
	for _, s := range steps() {
		lives = append(lives, live(t, s))
	}
	table := report(lives)
	t.Logf("\n%s", table)
	check(t, lives)
	if *seed != documented {
		return
	}
	page := filepath.Join(docs, "step-by-step.md")
	block := "`cd benchmarks && go test ./stepbystep -write` prints\n\n" + table
	if *write {
		require.NoError(t, document.Write(page, "table: steps", block))
	}
	there, err := document.Read(page, "table: steps")
	require.NoError(t, err)
	compare(t, there, block)
	for _, l := range lives {
		l.publish(t)
	}
}

// check fails unless what the page says about the steps holds.
func check(t *testing.T, lives []life) {
	t.Helper()
	claim := func(holds bool, what string) {
		t.Helper()
		assert.True(t, holds, "this does not hold: "+what)
	}
	bare, cached, stale, soft, ahead, shared, rare, both := lives[0], lives[1], lives[2], lives[3], lives[4], lives[5], lives[6], lives[7]
	claim(bare.during.failed >= bare.during.reads-2, "without a cache, every read of the outage fails")
	claim(2*cached.total.queries < bare.total.queries, "a cache saves half of the queries")
	claim(10*cached.during.failed > 9*cached.during.reads, "a TTL of a minute helps for a minute: nine of ten reads of the outage fail")
	claim(100*stale.before() < cached.before(), "StaleIfError: before the deploy, hardly a read fails")
	claim(3*stale.during.failed > stale.during.reads, "after the deploy, the memories are empty, and reads fail again")
	claim(stale.worst >= hanging && stale.during.long-stale.during.failed > 500, "StaleIfError alone: the read that tries the database waits for it")
	claim(soft.during.long <= soft.during.failed, "SoftLoadTimeout: only those wait for whom there is nothing")
	normal := func(l *life) int { return l.total.waited - l.during.waited }
	claim(10*normal(&ahead) < 9*normal(&soft), "RefreshAheadFactor: fewer reads wait, at other times than the outage")
	claim(ahead.during.old > 0, "three memories: reads get an old value in the outage")
	for _, l := range []life{shared, rare, both} {
		claim(l.total.old == 0, l.name+": no read gets an old value")
		claim(l.total.failed == 0, l.name+": no read fails, the deploy included")
		claim(l.total.long == 0, l.name+": no read waits long")
		claim(l.total.queries < ahead.total.queries, l.name+": fewer queries")
	}
	claim(4*rare.during.queries < 3*shared.during.queries, "RetryAfter: three quarters of the queries in the outage")
	claim(10*(both.total.requests-both.during.requests) < 7*(rare.total.requests-rare.during.requests), "a near cache: two thirds of the requests to Redis, at other times than the outage")
}

// report returns the table of the steps.
func report(lives []life) string {
	var b strings.Builder
	b.WriteString("| | queries | of these in the outage | failed reads | waited > 5 ms | waited > 250 ms | longest | beyond the TTL | old values | requests to Redis, without the outage |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, l := range lives {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %.1f s | %d | %d | %d |\n", l.name, l.total.queries, l.during.queries,
			l.total.failed, l.total.waited, l.total.long, l.worst.Seconds(), l.total.stale, l.total.old, l.total.requests-l.during.requests)
	}
	return b.String() + "\n"
}

// compare fails unless the tables are the same. With Redis, waits for a lease are random: these rows may differ a little.
func compare(t *testing.T, documented, measured string) {
	t.Helper()
	was, is := strings.Split(documented, "\n"), strings.Split(measured, "\n")
	require.Len(t, was, len(is), "lines of the page and of this run:\n%s", measured)
	for i := range was {
		if was[i] != is[i] {
			random := i >= len(is)-5 // the three rows with Redis, and the end
			assert.True(t, random && alike(was[i], is[i]), "the page says\n%s\nand this run\n%s", was[i], is[i])
		}
	}
}

// alike reports whether the numbers of two rows are about the same.
func alike(a, b string) bool {
	was, is := strings.Split(a, "|"), strings.Split(b, "|")
	if len(was) != len(is) {
		return false
	}
	for i := range was {
		x, errX := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(was[i]), " s"), 64)
		y, errY := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(is[i]), " s"), 64)
		if was[i] != is[i] && (errX != nil || errY != nil || math.Abs(x-y) > 3+0.02*max(x, y)) {
			return false
		}
	}
	return true
}

// chart is the plot of a step.
func (l *life) chart() plot.Lines {
	lines := plot.Lines{
		Title:    l.name,
		Subtitle: "the database does not answer from minute 4 to 14; all processes are replaced at minute 9",
		X:        plot.Axis{Label: "minutes", Max: length.Minutes()},
		Y:        plot.Axis{Label: "in a second; 20 reads a second come", Max: rate + 5},
		Series:   []plot.Line{{Name: "queries"}, {Name: "reads that fail"}, {Name: "reads that wait > 250 ms"}},
	}
	for i, b := range l.bins {
		x := (time.Duration(i)*bin + bin/2).Minutes()
		for s, n := range []int{b.queries, b.failed, b.long} {
			lines.Series[s].Points = append(lines.Series[s].Points, plot.Point{X: x, Y: float64(n) / bin.Seconds()})
		}
	}
	return lines
}

// publish writes the plot of a step, or compares it with the one that is there.
func (l *life) publish(t *testing.T) {
	t.Helper()
	svg, err := l.chart().SVG()
	require.NoError(t, err)
	file := filepath.Join(docs, "plots", l.file+".svg")
	if *write {
		require.NoError(t, os.WriteFile(file, svg, 0o600))
	}
	there, err := os.ReadFile(file)
	require.NoError(t, err)
	was, is := strings.Split(string(there), "\n"), strings.Split(string(svg), "\n")
	differ := 0
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			differ++
		}
	}
	allowed := 0
	if l.store >= inRedis {
		allowed = 3 // the lines
	}
	assert.Len(t, was, len(is), "lines of %s", file)
	assert.LessOrEqual(t, differ, allowed, "lines in which %s is not what this run draws", file)
}
