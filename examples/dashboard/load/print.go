package main

import (
	"fmt"
	"math"
	"strings"
)

// markdown returns the results as a table.
func markdown(results []result) string {
	var b strings.Builder
	b.WriteString("| systems | store | without cache | cold, each process | warm | under changes | changes/s |\n|---:|---|---:|---:|---:|---:|---:|\n")
	for _, r := range results {
		cold := make([]string, len(r.cold))
		for i, queries := range r.cold {
			cold[i] = fmt.Sprintf("%.0f", queries)
		}
		fmt.Fprintf(&b, "| %d | %v | %.0f | %s | %.2g | %.1f | %.0f |\n",
			r.systems, r.setup, r.without, strings.Join(cold, ", "), r.warm, r.changes, r.played)
	}
	return b.String()
}

// backendsMarkdown returns what the backends of a result have read, as a table.
func backendsMarkdown(r result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| backend | reads | loads | saved |\n|---|---:|---:|---:|\n")
	for _, of := range r.backends {
		reads, saved := of.Hits+of.Misses, "–"
		if reads > 0 {
			saved = fmt.Sprintf("%.1f %%", 100*(1-float64(of.Loads)/float64(reads)))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %s |\n", of.Name, reads, of.Loads, saved)
	}
	return b.String()
}

// The plot has a group of bars for each number of systems, on a logarithmic scale.
const (
	plotWidth, plotHeight = 760, 320
	left, right           = 56, 16
	top, bottom           = 34, 262
	most                  = 1000.0 // queries, the top of the scale
)

// y returns the height of a number of queries. The scale begins at 0.1; what is less is on the ground.
func y(queries float64) float64 {
	part := math.Log10(max(queries, 0.1)*10) / math.Log10(most*10)
	return bottom - part*(bottom-top)
}

// bar is one bar of each setup.
type bar struct {
	name, colour string
	queries      func(r result) float64
}

func bars() []bar {
	return []bar{
		{"without cache", "#a02622", func(r result) float64 { return r.without }},
		{"cold", "#8a4b00", func(r result) float64 { return r.cold[0] }},
		{"50 changes a second", "#2a5f95", func(r result) float64 { return r.changes }},
		{"warm", "#1f6f4a", func(r result) float64 { return r.warm }},
	}
}

// plot returns the results as SVG.
func plot(results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img" aria-label="Queries for each refresh">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, plotHeight)
	for _, queries := range []float64{0.1, 1, 10, 100, 1000} {
		label := fmt.Sprintf("%g", queries)
		if queries == 0.1 {
			label = "0"
		}
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dde1e6"/><text x="%d" y="%.1f" text-anchor="end" fill="#5a6672">%s</text>`+"\n",
			left, y(queries), plotWidth-right, left-8, y(queries)+4, label)
	}
	step := float64(plotWidth-left-right) / float64(len(results))
	width := (step - 8) / float64(len(bars()))
	for i, r := range results {
		from := left + float64(i)*step + 4
		for n, bar := range bars() {
			height := max(1, bottom-y(bar.queries(r)))
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%v, %d systems, %s: %.2f</title></rect>`+"\n",
				from+float64(n)*width, bottom-height, width-1, height, bar.colour, r.setup, r.systems, bar.name, bar.queries(r))
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#1c2630" font-size="10">%s</text>`+"\n", from+step/2-4, bottom+14, short(r.setup))
		if i == 0 || results[i-1].systems != r.systems {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#1c2630" font-weight="600">%d systems</text>`+"\n", from, bottom+34, r.systems)
		}
	}
	legend := left
	for _, bar := range bars() {
		fmt.Fprintf(&b, `<rect x="%d" y="8" width="11" height="11" fill="%s"/><text x="%d" y="18" fill="#1c2630">%s</text>`+"\n", legend, bar.colour, legend+16, bar.name)
		legend += 30 + 7*len(bar.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func short(s setup) string {
	name, _, _ := strings.Cut(s.String(), ",")
	return fmt.Sprintf("%s×%d", name, s.processes)
}
