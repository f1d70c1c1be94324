package plot

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// canvas collects the elements of an SVG document, from top to bottom.
type canvas struct {
	body bytes.Buffer
	y    float64 // where the next block begins
}

// add adds an element, whose format gets pixels rounded by px.
func (c *canvas) add(format string, args ...any) {
	for i, arg := range args {
		if pixels, ok := arg.(float64); ok {
			args[i] = px(pixels)
		}
	}
	fmt.Fprintf(&c.body, format+"\n", args...)
}

// px formats pixels with one decimal at most.
func px(pixels float64) string {
	text := strconv.FormatFloat(pixels, 'f', 1, 64)
	if tenths := text[len(text)-2:]; tenths == ".0" {
		text = text[:len(text)-2]
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// text adds a text, which anchor ("start", "middle", "end") sets at x.
func (c *canvas) text(x, y float64, anchor, colour, text string) {
	c.add(`<text x="%s" y="%s" text-anchor="%s" fill="%s">%s</text>`, x, y, anchor, colour, escape(text))
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(text)
}

// textWidth returns about how wide text is: no font is known here.
func textWidth(text string) float64 { return 0.56 * textSize * float64(utf8.RuneCountInString(text)) }

// head adds title and subtitle, if there are any.
func (c *canvas) head(title, subtitle string) {
	c.y = margin + titleSize
	c.add(`<text x="%d" y="%s" font-size="%d" font-weight="600" fill="%s">%s</text>`, margin, c.y-2, titleSize, ink, escape(title))
	if subtitle != "" {
		c.y += lineStep
		c.text(margin, c.y, "start", faint, subtitle)
	}
	c.y += lineStep / 2
}

// legend adds a legend of names in as many rows as it takes. sample draws the sample
// of a series in a box of 24 by 10 pixels at x, y.
func (c *canvas) legend(names []string, sample func(position int, x, y float64)) {
	const box, gap = 24, 6
	x := float64(margin)
	c.y += lineStep
	for i, name := range names {
		wide := box + gap + textWidth(name)
		if x > margin && x+wide > width-margin {
			x = margin
			c.y += lineStep
		}
		sample(i, x, c.y-9)
		c.text(x+box+gap, c.y, "start", ink, name)
		x += wide + 3*gap
	}
	c.y += lineStep / 2
}

// ticksBelow adds the texts of the ticks of a horizontal scale, but for those that
// would touch another.
func (c *canvas) ticksBelow(x *scale, y float64) {
	free := math.Inf(-1) // where the last text ends
	for _, tick := range x.ticks {
		at, text := x.at(tick), x.format(tick)
		if half := textWidth(text) / 2; at-half > free {
			c.text(at, y+lineStep, "middle", faint, text)
			free = at + half + 8
		}
	}
}

// document returns the whole document.
func (c *canvas) document(title string) []byte {
	var b bytes.Buffer
	height := px(c.y)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %d %s" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="%d">`+"\n",
		width, height, width, height, textSize)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(title))
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%d" height="%s" rx="6" fill="%s" stroke="%s"/>`+"\n", width-1, px(c.y-1), paper, edge)
	b.Write(c.body.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}
