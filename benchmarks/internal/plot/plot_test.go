package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/benchmarks/internal/plot"
)

// chart is what all charts are.
type chart interface{ SVG() ([]byte, error) }

func line(name string, points ...plot.Point) plot.Line { return plot.Line{Name: name, Points: points} }

func lines(x, y plot.Axis, series ...plot.Line) plot.Lines {
	return plot.Lines{Title: "Title", X: x, Y: y, Series: series}
}

// node is an element of a drawn chart.
type node struct {
	name       string
	text       string
	attributes map[string]string
}

func (n node) number(t *testing.T, attribute string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(n.attributes[attribute], 64)
	require.NoError(t, err, "%s %q", n.name, attribute)
	return value
}

// draw returns the elements of a chart, whose XML has to be right.
func draw(t *testing.T, c chart) (nodes []node) {
	t.Helper()
	svg, err := c.SVG()
	require.NoError(t, err)
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nodes
		}
		require.NoError(t, err, "%s", svg)
		switch token := token.(type) {
		case xml.StartElement:
			n := node{name: token.Name.Local, attributes: make(map[string]string)}
			for _, a := range token.Attr {
				n.attributes[a.Name.Local] = a.Value
			}
			nodes = append(nodes, n)
		case xml.CharData:
			if len(nodes) > 0 {
				nodes[len(nodes)-1].text += strings.TrimSpace(string(token))
			}
		}
	}
}

// texts returns the texts of a chart that do not match but.
func texts(t *testing.T, c chart, but string) (texts []string) {
	t.Helper()
	for _, n := range draw(t, c) {
		if n.name == "text" && n.text != "" && !regexp.MustCompile("^("+but+")$").MatchString(n.text) {
			texts = append(texts, n.text)
		}
	}
	return texts
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		axis   plot.Axis
		values []float64
		want   string
	}{
		{"linear", plot.Axis{}, []float64{3, 47}, "0 10 20 30 40 50"},
		{"linear, the data end at a tick", plot.Axis{}, []float64{0, 1}, "0 0.2 0.4 0.6 0.8 1"},
		{"linear, negative", plot.Axis{}, []float64{-3, 4}, "-3 -2 -1 0 1 2 3 4"},
		{"linear, only zero", plot.Axis{}, []float64{0}, "0 0.2 0.4 0.6 0.8 1"},
		{"linear, a wider range", plot.Axis{Max: 100}, []float64{47}, "0 20 40 60 80 100"},
		{"linear, percent", plot.Axis{Format: plot.Percent}, []float64{0.123}, "0 % 2 % 4 % 6 % 8 % 10 % 12 % 14 %"},
		{"logarithmic, one decade", plot.Axis{Log: true}, []float64{2, 30}, "2 5 10 20 50"},
		{"logarithmic, four decades", plot.Axis{Log: true}, []float64{1, 9000}, "1 3 10 30 100 300 1,000 3,000 10k"},
		{"logarithmic, many decades", plot.Axis{Log: true, Format: plot.Nanoseconds}, []float64{10, 2e9}, "10 ns 100 ns 1 µs 10 µs 100 µs 1 ms 10 ms 100 ms 1 s 10 s"},
		{"logarithmic, one value", plot.Axis{Log: true}, []float64{10}, "10 20"},
		{"logarithmic, clipped", plot.Axis{Log: true, Min: 1}, []float64{0, 8}, "1 2 5 10"},
		{"no value among them", plot.Axis{}, []float64{math.NaN(), 47}, "0 10 20 30 40 50"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			series := plot.Line{}
			for _, value := range test.values {
				series.Points = append(series.Points, plot.Point{X: 1, Y: value})
			}
			hidden := plot.Axis{Format: func(float64) string { return "x" }}
			assert.Equal(t, test.want, strings.Join(texts(t, lines(hidden, test.axis, series), "Title|x"), " "))
		})
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format func(float64) string
		value  float64
		want   string
	}{
		{plot.Number, 0, "0"},
		{plot.Number, 0.0123456, "0.0123"},
		{plot.Number, 12.345, "12.3"},
		{plot.Number, 200, "200"},
		{plot.Number, 1250, "1,250"},
		{plot.Number, -1250, "-1,250"},
		{plot.Number, 12_345, "12.3k"},
		{plot.Number, 12_345_678, "12.3M"},
		{plot.Number, 2e9, "2G"},
		{plot.Percent, 0.00125, "0.125 %"},
		{plot.Percent, 1, "100 %"},
		{plot.Nanoseconds, 0, "0"},
		{plot.Nanoseconds, 25.04, "25 ns"},
		{plot.Nanoseconds, 1500, "1.5 µs"},
		{plot.Nanoseconds, 999_600, "1 ms"},
		{plot.Nanoseconds, 20e6, "20 ms"},
		{plot.Nanoseconds, 1e9, "1 s"},
	} {
		assert.Equal(t, test.want, test.format(test.value), "%v", test.value)
	}
}

// TestLines looks at where points are drawn.
func TestLines(t *testing.T) {
	t.Parallel()
	one := line("one", plot.Point{0, 1}, plot.Point{5, 10}, plot.Point{10, 100})
	two := line("two", plot.Point{0, 0}, plot.Point{5, math.NaN()}, plot.Point{10, 100})
	var paths []string
	for _, n := range draw(t, lines(plot.Axis{}, plot.Axis{Log: true, Min: 1}, one, two)) {
		if n.name == "path" {
			paths = append(paths, n.attributes["d"])
		}
	}
	number := regexp.MustCompile(`[\d.]+`)
	require.Len(t, paths, 2, "lines")
	var at []float64
	for _, text := range number.FindAllString(paths[0], -1) {
		pixels, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		at = append(at, pixels)
	}
	require.Len(t, at, 6, "the path %q does not have three points", paths[0])
	const middle = "5, 10 is not in the middle between 0, 1 on the lower left and 10, 100 on the upper right: %q"
	assert.InDelta(t, (at[0]+at[4])/2, at[2], 0.1, middle, paths[0])
	assert.InDelta(t, (at[1]+at[5])/2, at[3], 0.1, middle, paths[0])
	assert.Less(t, at[0], at[4], middle, paths[0])
	assert.Greater(t, at[1], at[5], middle, paths[0])
	ends := number.FindAllString(paths[0], -1)
	want := "M" + ends[0] + " " + ends[1] + "M" + ends[4] + " " + ends[5] // clipped, interrupted
	assert.Equal(t, want, paths[1])
}

// TestLooks wants lines that can be told apart.
func TestLooks(t *testing.T) {
	t.Parallel()
	chart := lines(plot.Axis{}, plot.Axis{})
	for range 28 {
		chart.Series = append(chart.Series, line("", plot.Point{0, 1}))
	}
	looks := make(map[string]bool)
	for _, n := range draw(t, chart) {
		if n.name == "path" {
			looks[n.attributes["stroke"]+n.attributes["stroke-dasharray"]] = true
		}
	}
	assert.Len(t, looks, len(chart.Series), "looks of the lines")
}

// TestBars looks at the bars.
func TestBars(t *testing.T) {
	t.Parallel()
	bars := plot.Bars{
		Title:  "Title",
		Groups: []string{"a", "b"},
		Series: []plot.Bar{{Values: []float64{10, 20}}, {Values: []float64{5, math.NaN()}}},
	}
	assert.Equal(t, []string{"0", "5", "10", "15", "20", "a", "10", "5", "b", "20", "–"}, texts(t, bars, "Title"))
	widths := make(map[float64]float64) // by height on the page
	var order []float64
	for _, n := range draw(t, bars) {
		if n.name == "rect" && n.attributes["width"] != "719" && n.attributes["width"] != "24" {
			widths[n.number(t, "y")] = n.number(t, "width")
			order = append(order, n.number(t, "y"))
		}
	}
	require.Len(t, order, 3, "bars from top to bottom")
	require.IsNonDecreasing(t, order, "bars from top to bottom")
	full := widths[order[2]]
	assert.InDelta(t, full/2, widths[order[0]], 0.1, "the bars of 10, 5 and 20 are %v wide", widths)
	assert.InDelta(t, full/4, widths[order[1]], 0.1, "the bars of 10, 5 and 20 are %v wide", widths)
}

// TestPage draws charts that are full and wants everything on the page, no text over
// another, and the same bytes again.
func TestPage(t *testing.T) {
	t.Parallel()
	name := "a series with quite a name & <signs>"
	bars := plot.Bars{Title: "A & <b>", Subtitle: "and below", X: plot.Axis{Log: true, Label: "nanoseconds"}}
	chart := plot.Lines{Title: "A & <b>", Subtitle: "and below", X: plot.Axis{Log: true, Label: "rank"}, Y: plot.Axis{Label: "reads", Format: plot.Nanoseconds}}
	for i := range 9 {
		series, bar := line(name), plot.Bar{Name: name}
		for n := range 6 {
			value := math.Pow(10, float64(i+n))
			series.Points = append(series.Points, plot.Point{X: value, Y: value})
			bar.Values = append(bar.Values, value)
		}
		chart.Series, bars.Series = append(chart.Series, series), append(bars.Series, bar)
		if i < 6 {
			bars.Groups = append(bars.Groups, name)
		}
	}
	for _, c := range []page{{"lines", chart}, {"bars", bars}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			nodes := draw(t, c.chart)
			height := nodes[0].number(t, "height")
			ends := make(map[float64]float64) // of the texts of a line
			for _, n := range nodes {
				if n.name != "text" {
					continue
				}
				x, y, wide := n.number(t, "x"), n.number(t, "y"), 6.7*float64(len([]rune(n.text)))
				switch n.attributes["text-anchor"] {
				case "middle":
					x -= wide / 2
				case "end":
					x -= wide
				}
				if n.text != "A & <b>" {
					assert.GreaterOrEqual(t, x, 0.0, "%q is not on the page", n.text)
					assert.LessOrEqual(t, x+wide, 720.0, "%q is not on the page", n.text)
				}
				assert.LessOrEqual(t, y, height, "%q is not on the page", n.text)
				assert.GreaterOrEqual(t, y, 0.0, "%q is not on the page", n.text)
				if end, ok := ends[y]; ok {
					assert.GreaterOrEqual(t, x, end, "%q begins where a text goes on", n.text)
				}
				ends[y] = x + wide
			}
			one, _ := c.chart.SVG()
			two, _ := c.chart.SVG()
			assert.Equal(t, two, one, "the same data made other bytes")
		})
	}
}

type page struct {
	name  string
	chart chart
}

func TestRefused(t *testing.T) {
	t.Parallel()
	logarithmic := plot.Axis{Log: true}
	for _, test := range []struct {
		chart chart
		want  string
	}{
		{plot.Lines{}, "plot: Lines.Series: there are none"},
		{lines(plot.Axis{}, plot.Axis{}, line("")), "plot: Lines.Y: there are no values"},
		{lines(plot.Axis{}, logarithmic, line("", plot.Point{0, 0})), "plot: Lines.Y: 0: must be positive on a logarithmic axis without Min"},
		{lines(plot.Axis{}, plot.Axis{}, line("", plot.Point{math.Inf(1), 0})), "plot: Lines.X: +Inf: must be finite"},
		{plot.Bars{}, "plot: Bars: there are none"},
		{plot.Bars{Groups: []string{"a"}, Series: []plot.Bar{{Name: "b"}}}, `plot: Bars.Series: "b" has 0 values for 1 groups`},
		{plot.Bars{X: logarithmic, Groups: []string{"a"}, Series: []plot.Bar{{Values: []float64{-1}}}}, "plot: Bars.X: -1: must be positive on a logarithmic axis without Min"},
	} {
		svg, err := test.chart.SVG()
		assert.EqualError(t, err, test.want)
		assert.Nil(t, svg)
	}
}
