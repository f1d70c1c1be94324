package plot

import (
	"errors"
	"fmt"
	"math"
)

// Bars is a chart of horizontal bars: a group for each thing that is compared, and in
// it a bar for each series. On a logarithmic axis the lengths of bars say nothing but
// their order; each has its value beside it.
type Bars struct {
	Title    string
	Subtitle string
	X        Axis
	// Groups are the names of the groups, from top to bottom.
	Groups []string
	Series []Bar
}

// Bar is one bar of each group.
type Bar struct {
	// Name is the name of the series. A chart of one series whose name is empty has no
	// legend.
	Name string
	// Values has the value for each group; NaN where there is none.
	Values []float64
}

const (
	barHeight = 14
	barGap    = 2
	groupGap  = 12
)

// SVG draws the chart. It returns an error for one without bars, with a series that
// does not have a value for each group, or with a value that the axis cannot have.
func (b Bars) SVG() ([]byte, error) {
	if len(b.Groups) == 0 || len(b.Series) == 0 {
		return nil, errors.New("plot: Bars: there are none")
	}
	var values []float64
	names := make([]string, len(b.Series))
	for i, series := range b.Series {
		if len(series.Values) != len(b.Groups) {
			return nil, fmt.Errorf("plot: Bars.Series: %q has %d values for %d groups", series.Name, len(series.Values), len(b.Groups))
		}
		names[i] = series.Name
		values = append(values, series.Values...)
	}
	left := 0.0
	for _, group := range b.Groups {
		left = max(left, margin+textWidth(group)+8)
	}
	x, err := newScale("Bars.X", b.X, values, left, width-margin-70) // room for the value beside the longest bar
	if err != nil {
		return nil, err
	}
	c := &canvas{}
	c.head(b.Title, b.Subtitle)
	if len(names) > 1 || names[0] != "" {
		c.legend(names, func(i int, x, y float64) {
			c.add(`<rect x="%s" y="%s" width="24" height="10" rx="2" fill="%s"/>`, x, y, lookOf(i).colour)
		})
	}
	c.bars(&b, &x)
	return c.document(b.Title), nil
}

// bars adds all of b that is below the legend.
func (c *canvas) bars(b *Bars, x *scale) {
	top := c.y + lineStep/2
	group := float64(len(b.Series)*(barHeight+barGap) + groupGap)
	bottom := top + group*float64(len(b.Groups))
	for _, tick := range x.ticks {
		c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s"/>`, x.at(tick), top, x.at(tick), bottom, grid)
	}
	c.ticksBelow(x, bottom)
	for g, name := range b.Groups {
		y := top + group*float64(g) + groupGap/2
		c.text(x.from-8, y+(group-groupGap-barGap)/2+4, "end", ink, name)
		for i, series := range b.Series {
			c.bar(x, y+float64(i*(barHeight+barGap)), lookOf(i).colour, series.Values[g])
		}
	}
	zero := x.at(0) // or the end of a logarithmic scale
	c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s"/>`, zero, top, zero, bottom, faint)
	c.text(x.to, bottom+2*lineStep+4, "end", faint, b.X.Label)
	c.y = bottom + 2*lineStep + 4 + margin
}

// bar adds a bar at the height y with its value beside it.
func (c *canvas) bar(x *scale, y float64, colour string, value float64) {
	zero := x.at(0)
	if math.IsNaN(value) {
		c.text(zero+6, y+barHeight-3, "start", faint, "–")
		return
	}
	end := x.at(value)
	c.add(`<rect x="%s" y="%s" width="%s" height="%d" rx="2" fill="%s"/>`, min(zero, end), y, math.Abs(end-zero), barHeight, colour)
	c.text(max(zero, end)+6, y+barHeight-3, "start", ink, x.format(value))
}
