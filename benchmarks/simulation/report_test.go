package simulation_test

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/readthrough/readthrough/benchmarks/internal/plot"
)

// milliseconds formats a duration for a table.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// percent formats a part of 1 for a table: as 0 only if it is.
func percent(part float64) string {
	switch {
	case part == 0:
		return "0"
	case part < 0.0001:
		return "< 0.01 %"
	}
	return fmt.Sprintf("%.2f %%", 100*part)
}

// servedRow is a row of the table of the serving simulation.
func servedRow(s *served) string {
	return fmt.Sprintf("| %s | %.0f | %d | %s | %s | %s | %s | %s | %.1f s | %s | %s |",
		s.name, float64(s.loads)/s.length.Seconds(), s.peak,
		milliseconds(s.wait(0.5)), milliseconds(s.wait(0.99)), milliseconds(s.wait(0.999)),
		percent(s.part(all, waiting)), percent(s.part(all, read.stale)), s.oldest().Seconds(),
		percent(s.part(isHot, waiting)), percent(s.part(isHot, read.stale)))
}

// servedTable returns the table of the serving simulation.
func servedTable(results []served) string {
	var b strings.Builder
	b.WriteString("| | loads/s | at once | p50, ms | p99, ms | p99.9, ms | waited | stale | oldest | hot: waited | hot: stale |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for i := range results {
		b.WriteString(servedRow(&results[i]) + "\n")
	}
	return b.String()
}

// survivedTable returns the table of the outage.
func survivedTable(results []survived) string {
	var b strings.Builder
	b.WriteString("| | tries in 30 s | most in a second | reads that failed | stale reads | back to normal after |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|\n")
	for _, s := range results {
		most := int64(0)
		for _, tries := range s.bySecond[outageBegins/time.Second : outageEnds/time.Second] {
			most = max(most, tries)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %.1f s |\n", s.name, s.tries, most, s.failed, s.stale, s.over.Seconds())
	}
	return b.String()
}

// waitsPlot shows who waits: how large a part of the reads of a key, by its rank.
func waitsPlot(results []served) plot.Lines {
	lines := plot.Lines{
		Title:    "Which reads wait for a load",
		Subtitle: "by how popular their key is; what is below 0.01 % is drawn there",
		X:        plot.Axis{Label: "rank of the key, 1 being read most often", Log: true, Min: 1, Max: keys},
		Y:        plot.Axis{Label: "part of the key's reads", Log: true, Min: 1e-4, Max: 1, Format: plot.Percent},
	}
	for i := range results {
		line := plot.Line{Name: results[i].name}
		for from := 0; from < keys; from = 2*from + 1 { // ranks 1, 2–3, 4–7, …
			to := min(2*from+1, keys)
			among := func(r read) bool { return r.rank >= from && r.rank < to }
			middle := math.Sqrt(float64(from+1) * float64(to))
			line.Points = append(line.Points, plot.Point{X: middle, Y: results[i].part(among, waiting)})
		}
		lines.Series = append(lines.Series, line)
	}
	return lines
}

// tradePlot shows what is paid for what.
func tradePlot(results []served) plot.Bars {
	bars := plot.Bars{
		Title:    "What each costs",
		Subtitle: "reads that wait for a load, and reads that get a value after its TTL",
		X:        plot.Axis{Format: plot.Percent, Label: "part of all reads"},
		Series:   []plot.Bar{{Name: "waited"}, {Name: "stale"}},
	}
	for i := range results {
		bars.Groups = append(bars.Groups, results[i].name)
		bars.Series[0].Values = append(bars.Series[0].Values, results[i].part(all, waiting))
		bars.Series[1].Values = append(bars.Series[1].Values, results[i].part(all, read.stale))
	}
	return bars
}

// outagePlot shows what a source sees that has failed.
func outagePlot(results []survived) plot.Lines {
	lines := plot.Lines{
		Title:    "A source that fails from 10 s to 40 s",
		Subtitle: "1,000 reads a second of 100 keys, TTL 1 s; a second without a try is drawn at 1",
		X:        plot.Axis{Label: "seconds", Max: outageLength.Seconds()},
		Y:        plot.Axis{Label: "tries against the source in a second", Log: true, Min: 1, Max: outageRate},
	}
	for _, s := range results {
		line := plot.Line{Name: s.name}
		for second, tries := range s.bySecond {
			line.Points = append(line.Points, plot.Point{X: float64(second) + 0.5, Y: float64(tries)})
		}
		lines.Series = append(lines.Series, line)
	}
	return lines
}
