package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// sequence is a picture of messages between lanes, from top to bottom. It is narrow enough for a phone, and
// brings its background, a light one or a dark one, as the reader prefers. The same sequence makes the same
// bytes.
type sequence struct {
	title string
	lanes []lane
	steps []step
}

// lane is a participant: a vertical line below its name.
type lane struct{ name, below string }

// step is a message from one lane to another, or, within one lane, what happens there.
type step struct {
	from, to int
	text     string
	kind     kind
}

// kind is how a step is drawn.
type kind int

const (
	request kind = iota
	answer       // what comes back, and what is of no concern: dashed
	good         // what the picture is about
	refused      // a message that has no effect: it ends in a cross
)

// The size of a picture, and of what is in it, in pixels.
const (
	width    = 420
	margin   = 12
	laneTop  = 44
	laneSize = 40
	stepSize = 38
)

// style has the colours. They are those of Okabe and Ito, lighter on a dark background.
const style = `<style>
.paper{fill:#ffffff;stroke:#d0d7de}.box{fill:#f6f8fa;stroke:#8c959f}.life{stroke:#d0d7de}
text{fill:#1f2328;stroke:#ffffff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}.faint{fill:#59636e}.box+text,.box+text+text{stroke:none}
.request,.answer{stroke:#59636e;fill:none}.good{stroke:#0072b2;fill:none}.refused{stroke:#c04a00;fill:none}.answer{stroke-dasharray:4 3}
text.good{fill:#005a8c;stroke:#ffffff}text.refused{fill:#a84000;stroke:#ffffff}
@media (prefers-color-scheme: dark){.paper{fill:#0d1117;stroke:#3d444d}.box{fill:#151b23;stroke:#656c76}.life{stroke:#3d444d}
text{fill:#f0f6fc;stroke:#0d1117}.faint{fill:#9198a1}.request,.answer{stroke:#9198a1}.good{stroke:#56b4e9}.refused{stroke:#f0883e}
text.good{fill:#79c8f5;stroke:#0d1117}text.refused{fill:#f0883e;stroke:#0d1117}}
</style>
`

// svg draws the picture.
func (s *sequence) svg() []byte {
	var body bytes.Buffer
	height := laneTop + laneSize + len(s.steps)*stepSize + 2*margin
	fmt.Fprintf(&body, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&body, "<title>%s</title>\n<desc>%s</desc>\n%s", escape(s.title), escape(s.describe()), style)
	fmt.Fprintf(&body, `<rect class="paper" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`+"\n", width-1, height-1)
	fmt.Fprintf(&body, `<text x="%d" y="28" font-size="16" font-weight="600">%s</text>`+"\n", margin, escape(s.title))
	for i, l := range s.lanes {
		s.lane(&body, i, l, height-margin)
	}
	for i, step := range s.steps {
		s.step(&body, step, laneTop+laneSize+(i+1)*stepSize)
	}
	body.WriteString("</svg>\n")
	return body.Bytes()
}

// at returns where the line of a lane is.
func (s *sequence) at(lane int) int {
	wide := (width - 2*margin) / len(s.lanes)
	return margin + lane*wide + wide/2
}

func (s *sequence) lane(body *bytes.Buffer, i int, l lane, bottom int) {
	wide := (width-2*margin)/len(s.lanes) - 6
	x, y := s.at(i), laneTop+17
	fmt.Fprintf(body, `<line class="life" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", x, laneTop+laneSize, x, bottom)
	fmt.Fprintf(body, `<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="4"/>`, x-wide/2, laneTop, wide, laneSize)
	if l.below == "" {
		y += 8
	}
	fmt.Fprintf(body, `<text x="%d" y="%d" text-anchor="middle" font-weight="600">%s</text>`, x, y, escape(l.name))
	fmt.Fprintf(body, `<text class="faint" x="%d" y="%d" text-anchor="middle" font-size="12">%s</text>`+"\n", x, laneTop+33, escape(l.below))
}

// step draws a message at the height y, with its text above.
func (s *sequence) step(body *bytes.Buffer, step step, y int) {
	from, to, class := s.at(step.from), s.at(step.to), [...]string{"request", "answer", "good", "refused"}[step.kind]
	half := 33 * utf8.RuneCountInString(step.text) / 10 // about half of the width of the text: no font is known here
	middle := min(max((from+to)/2, margin+half), width-margin-half)
	if from == to {
		fmt.Fprintf(body, `<circle class="%s" cx="%d" cy="%d" r="4" stroke-width="2"/>`, class, from, y)
	} else {
		direction := 1
		if to < from {
			direction = -1
		}
		end := to - 2*direction
		fmt.Fprintf(body, `<path class="%s" stroke-width="1.8" d="M%d %dL%d %d"/>`, class, from, y, end, y)
		head := fmt.Sprintf("M%d %dL%d %dL%d %d", end-7*direction, y-4, end, y, end-7*direction, y+4)
		if step.kind == refused {
			head = fmt.Sprintf("M%d %dl8 8m0 -8l-8 8", to-12*direction-4, y-4)
		}
		fmt.Fprintf(body, `<path class="%s" stroke-width="1.8" style="stroke-dasharray:none" d="%s"/>`, class, head)
	}
	fmt.Fprintf(body, `<text class="%s" x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", textClass(step.kind), middle, y-8, escape(step.text))
}

// textClass returns the class of the text of a step.
func textClass(kind kind) string {
	return [...]string{"text", "text", "good", "refused"}[kind]
}

// describe returns the picture in words, for those who do not see it.
func (s *sequence) describe() string {
	var words strings.Builder
	for _, step := range s.steps {
		if step.from == step.to {
			fmt.Fprintf(&words, "%s: %s. ", s.lanes[step.from].name, step.text)
		} else {
			fmt.Fprintf(&words, "%s to %s: %s. ", s.lanes[step.from].name, s.lanes[step.to].name, step.text)
		}
	}
	return strings.TrimSpace(words.String())
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(text)
}
