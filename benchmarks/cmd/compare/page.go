package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/readthrough/readthrough/benchmarks/internal/plot"
)

const (
	library = "readthrough" // ours, and what the names of our variants begin with
	limits  = "limit-"      // what the names of the limits begin with
	near    = "near-"       // what the names of those begin with that do not ask Redis
	module  = "github.com/readthrough/readthrough"
	charts  = "benchmarks" // the folder of the charts, beside the page
)

// page is the results page.
type page struct {
	results *results
	modules []string // what was compared, each with its version
	text    bytes.Buffer
	charts  map[string][]byte // by file name
}

func newPage(ctx context.Context, r *results) (*page, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}}"}, compared()...)...)
	command.Stderr = os.Stderr
	modules, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("versions of what was compared: %w", err)
	}
	return &page{results: r, modules: strings.Split(strings.TrimSpace(string(modules)), "\n"), charts: make(map[string][]byte)}, nil
}

// write makes the page and its charts in folder.
func (p *page) write(folder string) error {
	p.head()
	for _, w := range workloads() {
		for _, s := range w.sections {
			if err := p.section(s); err != nil {
				return fmt.Errorf("%s: %w", s.title, err)
			}
		}
	}
	p.versions()
	return p.save(folder)
}

// save writes the text and the charts.
func (p *page) save(folder string) error {
	if err := os.MkdirAll(filepath.Join(folder, charts), 0o750); err != nil {
		return err
	}
	for name, svg := range p.charts {
		if err := os.WriteFile(filepath.Join(folder, charts, name), svg, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "benchmarks.md"), p.text.Bytes(), 0o600)
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(&p.text, format, args...) }

// head says what was measured where, and how.
func (p *page) head() {
	least, most := p.results.rounds()
	p.printf(`# Measured side by side

This page compares the speed and the memory of readthrough with other caches for Go, and with the limits: a map, or a
client used by hand. It is for everybody who must choose a cache, or who changes this one. A program generated the page;
nothing in it was typed.

**How it was made.** In the folder benchmarks,

    %s

made it on %s, on a machine with %d processors (%s, %s/%s), with %s%s. Each number is the median of %s. In a round, every workload is
a process of its own, in which the libraries take turns; each round begins with
another library. If two values differ by less than 15 %% in memory, or 25 %% in
Redis, they may be equal: another run may order them otherwise.

`, p.results.header["command"], p.results.header["date"], runtime.NumCPU(), p.results.header["cpu"],
		runtime.GOOS, runtime.GOARCH, runtime.Version(), redisVersion(), roundsText(least, most))
	p.printf(`**How to read it.**

- **cpu-ns/op** is the processor time of the whole process for each operation, with all that a library does in the
  background. **ns/op** is the time of the clock on the wall.
- All libraries that have TTLs use them, and nothing expires.
- A *limit* is what no cache can be much faster than.
- *to the limit* and *to the best peer* are ratios of the first column. If ours is less than 1.00 to the best peer, no
  other library is faster. For hit ratios (hit-%%), more is better.

`)
}

func roundsText(least, most int) string {
	if most == 1 {
		return "one round"
	}
	if least == most {
		return fmt.Sprintf("%d rounds", most)
	}
	return fmt.Sprintf("%d to %d rounds", least, most)
}

// redisVersion is ", and Redis …", if there is one.
func redisVersion() string {
	text, err := exec.Command("redis-server", "--version").Output() //nolint:noctx // it returns at once
	if err != nil {
		return ""
	}
	for field := range strings.FieldsSeq(string(text)) {
		if version, ok := strings.CutPrefix(field, "v="); ok {
			return " and Redis " + version
		}
	}
	return ""
}

// section writes the tables of s, if anything of it was measured, and a chart.
func (p *page) section(s section) error {
	names := slices.DeleteFunc(slices.Clone(s.names), func(name string) bool { return !p.measured(name, s.unit) })
	if len(names) == 0 {
		return nil
	}
	p.printf("## %s\n\n%s\n\n", s.title, s.text)
	file := fileName(s.title) + ".svg"
	svg, err := p.chart(s, names)
	if err != nil {
		return err
	}
	p.charts[file] = svg
	p.printf("![%s](%s/%s)\n\n", s.title, charts, file)
	for _, name := range names {
		p.table(s, name)
	}
	return nil
}

// measured reports whether there is a value for any library.
func (p *page) measured(workload, unit string) bool {
	return slices.ContainsFunc(p.results.libraries[workload], func(l string) bool {
		_, ok := p.results.median(workload, l, unit)
		return ok
	})
}

func fileName(title string) string { return strings.ReplaceAll(strings.ToLower(title), " ", "-") }

// chart draws the compared metric of all libraries.
func (p *page) chart(s section, names []string) ([]byte, error) {
	var series []plot.Bar
	groups := p.results.libraries[names[0]]
	for _, name := range names {
		bar := plot.Bar{Name: name}
		if len(names) == 1 {
			bar.Name = ""
		}
		for _, l := range groups {
			value, ok := p.results.median(name, l, s.unit)
			if !ok {
				value = math.NaN()
			}
			bar.Values = append(bar.Values, value)
		}
		series = append(series, bar)
	}
	axis := plot.Axis{Label: s.unit}
	if strings.Contains(s.unit, nsPerOp) || s.unit == medianNs {
		axis.Format, axis.Log = plot.Nanoseconds, true
		axis.Label = "time for each operation (logarithmic)"
	}
	if s.unit == cpuPerOp {
		axis.Label = "processor time for each operation (logarithmic)"
	}
	return plot.Bars{Title: s.title, X: axis, Groups: groups, Series: series}.SVG()
}

// table is the table of one workload.
func (p *page) table(s section, name string) {
	p.printf("`%s`\n\n| library | %s | to the limit | to the best peer |", name, s.unit)
	for _, unit := range s.more {
		p.printf(" %s |", unit)
	}
	p.printf("\n|---|---:|---:|---:|%s\n", strings.Repeat("---:|", len(s.more)))
	peer := p.best(s, name, isPeer)
	limit, ok := p.results.median(name, s.limit, s.unit)
	if !ok {
		limit = p.best(s, name, isLimit)
	}
	for _, l := range p.results.libraries[name] {
		value, ok := p.results.median(name, l, s.unit)
		if !ok {
			continue
		}
		label := l
		if isOurs(l) {
			label = "**" + l + "**"
		}
		p.printf("| %s | %s | %s | %s |", label, format(value, s.unit), ratio(value, limit), ratio(value, peer))
		for _, unit := range s.more {
			text := ""
			if value, ok := p.results.median(name, l, unit); ok {
				text = format(value, unit)
			}
			p.printf(" %s |", text)
		}
		p.printf("\n")
	}
	p.printf("\n")
}

func isLimit(l string) bool { return strings.HasPrefix(l, limits) }
func isOurs(l string) bool  { return strings.HasPrefix(l, library) }
func isPeer(l string) bool  { return !isLimit(l) && !isOurs(l) && !strings.HasPrefix(l, near) }

// best returns the best value of the libraries that are meant; 0 if there are none.
func (p *page) best(s section, name string, meant func(l string) bool) (best float64) {
	for _, l := range p.results.libraries[name] {
		value, ok := p.results.median(name, l, s.unit)
		if ok && meant(l) && (best == 0 || value < best != s.most) {
			best = value
		}
	}
	return best
}

func ratio(value, to float64) string {
	if to == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", value/to)
}

// format formats a value as its unit wants it.
func format(value float64, unit string) string {
	switch {
	case strings.HasSuffix(unit, "ns/op"), strings.HasSuffix(unit, "-ns"):
		return plot.Nanoseconds(value)
	default:
		return plot.Number(value)
	}
}

// versions lists what was compared.
func (p *page) versions() {
	p.printf("## Versions\n\n| module | version |\n|---|---|\n")
	for _, m := range p.modules {
		path, version, _ := strings.Cut(m, " ")
		p.printf("| %s | %s |\n", path, version)
	}
	p.printf(`
rueidisaside, jetcache-go and samber/hot are not measured, because the module proxy
did not serve them.
`)
}

// compared are the modules whose versions matter.
func compared() []string {
	return []string{
		"github.com/maypok86/otter/v2", "github.com/Yiling-J/theine-go", "github.com/dgraph-io/ristretto/v2",
		"github.com/viccon/sturdyc", "github.com/jellydator/ttlcache/v3", "github.com/puzpuzpuz/xsync/v4",
		"golang.org/x/sync", "github.com/redis/go-redis/v9", "github.com/go-redis/cache/v9", "github.com/redis/rueidis",
		"github.com/vmihailenco/msgpack/v5", "github.com/bytedance/sonic", "github.com/go-json-experiment/json",
	}
}
