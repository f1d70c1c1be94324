package plot

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Lines is a line chart.
type Lines struct {
	Title    string
	Subtitle string
	X, Y     Axis
	Series   []Line
}

// Line is one line of a chart. At a NaN it is interrupted.
type Line struct {
	Name   string
	Points []Point
}

// Point is a point of a line.
type Point struct{ X, Y float64 }

const linesHeight = 300 // of the area that the axes enclose

// SVG draws the chart. It returns an error for one without points, or with a value
// that an axis cannot have.
func (l Lines) SVG() ([]byte, error) {
	if len(l.Series) == 0 {
		return nil, errors.New("plot: Lines.Series: there are none")
	}
	var xs, ys []float64
	names := make([]string, len(l.Series))
	for i, series := range l.Series {
		names[i] = series.Name
		for _, point := range series.Points {
			xs, ys = append(xs, point.X), append(ys, point.Y)
		}
	}
	c := &canvas{}
	c.head(l.Title, l.Subtitle)
	c.legend(names, func(i int, x, y float64) {
		look := lookOf(i)
		c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s" stroke-width="2.5" stroke-dasharray="%s"/>`, x, y+5, x+24, y+5, look.colour, look.dash)
	})
	top := c.y + 2*lineStep
	y, err := newScale("Lines.Y", l.Y, ys, top+linesHeight, top)
	if err != nil {
		return nil, err
	}
	left := margin + widest(y) + 8
	x, err := newScale("Lines.X", l.X, xs, left, width-2*margin)
	if err != nil {
		return nil, err
	}
	c.rulers(&x, &y, l.X.Label, l.Y.Label)
	for i, series := range l.Series {
		c.line(lookOf(i), series.Points, &x, &y)
	}
	c.y = y.from + 2*lineStep + lineStep/2 + margin
	return c.document(l.Title), nil
}

// widest returns the width of the widest tick of a scale.
func widest(s scale) (wide float64) {
	for _, tick := range s.ticks {
		wide = max(wide, textWidth(s.format(tick)))
	}
	return wide
}

// rulers adds the axes of a line chart, with their ticks and labels.
func (c *canvas) rulers(x, y *scale, xLabel, yLabel string) {
	c.text(margin, y.to-lineStep+4, "start", faint, yLabel)
	for _, tick := range y.ticks {
		at := y.at(tick)
		c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s"/>`, x.from, at, x.to, at, grid)
		c.text(x.from-8, at+4, "end", faint, y.format(tick))
	}
	for _, tick := range x.ticks {
		c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s"/>`, x.at(tick), y.from, x.at(tick), y.from+5, faint)
	}
	c.ticksBelow(x, y.from+2)
	c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s"/>`, x.from, y.from, x.to, y.from, faint)
	c.text(x.to, y.from+2*lineStep+6, "end", faint, xLabel)
}

// line adds a line.
func (c *canvas) line(look look, points []Point, x, y *scale) {
	var path strings.Builder
	command := "M"
	for _, point := range points {
		if math.IsNaN(point.X) || math.IsNaN(point.Y) {
			command = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%s %s", command, px(x.at(point.X)), px(y.at(point.Y)))
		command = "L"
	}
	c.add(`<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round" stroke-linecap="round" stroke-dasharray="%s"/>`, path.String(), look.colour, look.dash)
}
