// Package plot draws charts as SVG: lines and grouped bars, on linear and
// logarithmic axes. A chart is as wide as a page of text, brings its own
// background, and the same data make the same bytes, so that a chart in a
// repository changes only if what it shows does.
//
// Lines have dashes, and bars have labels, beside their colours, which are those
// of Okabe and Ito: they stay apart for who sees fewer of them.
package plot

// The size of a chart, and of what is in it, in pixels.
const (
	width     = 720
	margin    = 20
	titleSize = 16
	textSize  = 12
	lineStep  = 18 // from one line of text to the next
)

// The colours of what is no data.
const (
	paper = "#ffffff"
	edge  = "#d0d7de"
	grid  = "#e6e9ec"
	ink   = "#1f2328"
	faint = "#59636e"
)

// Axis is an axis of values. The zero value is linear, spans the data and zero, and
// has plain numbers.
type Axis struct {
	// Label says what the values are, and their unit if Format does not.
	Label string
	// Log makes the axis logarithmic. What is not positive is then an error, or, if
	// Min is set, drawn at Min.
	Log bool
	// Min and Max are the least range of the axis, which grows to hold the data, but
	// for what lies below the Min of a logarithmic one. Zero means that the data
	// decide.
	Min, Max float64
	// Format makes the text of a value. nil means [Number].
	Format func(value float64) string
}

// look is how a series is drawn.
type look struct{ colour, dash string }

// lookOf returns the look of the series at a position. There are seven colours;
// further series have the same with other dashes.
func lookOf(position int) look {
	colours := [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1f2328"}
	dashes := [...]string{"", "7 3", "2 3", "9 3 2 3"}
	return look{
		colour: colours[position%len(colours)],
		dash:   dashes[(position+2*(position/len(colours)))%len(dashes)],
	}
}
