package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// update replaces the sections of the page in folder that were measured, and leaves the others as they are. A section that
// the page does not have comes to its place in the order of workloads.
func (p *page) update(folder string) error {
	old, err := os.ReadFile(filepath.Join(folder, "benchmarks.md"))
	if err != nil {
		return fmt.Errorf("-run needs a page to put the sections into: %w", err)
	}
	head, sections := split(string(old))
	var text strings.Builder
	text.WriteString(head)
	for _, w := range workloads() {
		for _, s := range w.sections {
			p.text.Reset()
			if err := p.section(s); err != nil {
				return fmt.Errorf("%s: %w", s.title, err)
			}
			if p.text.Len() > 0 {
				sections[s.title] = p.dated(s.title, p.text.String())
			}
			text.WriteString(sections[s.title])
			delete(sections, s.title)
		}
	}
	p.text.Reset()
	p.text.WriteString(text.String())
	p.versions()
	return p.save(folder)
}

// split returns what is before the sections of a page, and each section by its title.
func split(page string) (head string, sections map[string]string) {
	const mark = "\n## "
	head, rest, found := strings.Cut(page, mark)
	sections = make(map[string]string)
	for found {
		var section string
		section, rest, found = strings.Cut(rest, mark)
		title, _, _ := strings.Cut(section, "\n")
		sections[title] = mark[1:] + section + "\n"
	}
	return head + "\n", sections
}

// dated adds to a section how it was measured, which differs from the rest of the page.
func (p *page) dated(title, section string) string {
	least, most := p.results.rounds()
	how := fmt.Sprintf("*Measured apart from the rest of the page, on %s: `%s`, %s.*\n\n", p.results.header["date"], p.results.header["command"], roundsText(least, most))
	heading := "## " + title + "\n\n"
	return heading + how + strings.TrimPrefix(section, heading)
}
