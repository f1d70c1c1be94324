package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// results are the values of each metric, one for each round, by workload and
// library.
type results struct {
	workloads []string
	libraries map[string][]string // of a workload, in the order of the first round
	values    map[sample][]float64
	header    map[string]string // what the benchmarks say of the machine
}

// sample names what was measured.
type sample struct{ workload, library, unit string }

// parse reads the output of benchmarks. Names are workload/library.
func parse(text []byte) *results {
	r := &results{libraries: make(map[string][]string), values: make(map[sample][]float64), header: make(map[string]string)}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if name, ok := strings.CutPrefix(line, "Benchmark"); ok && len(fields) >= 4 {
			r.add(strings.Fields(name)[0], fields[2:])
			continue
		}
		if key, value, ok := strings.Cut(line, ": "); ok {
			r.header[key] = strings.TrimSpace(value)
		}
	}
	return r
}

// add takes the values of a line, each followed by its unit.
func (r *results) add(name string, values []string) {
	if i := strings.LastIndexByte(name, '-'); i > 0 { // the number of processors
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			name = name[:i]
		}
	}
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return
	}
	workload, library := name[:i], name[i+1:]
	if !slices.Contains(r.workloads, workload) {
		r.workloads = append(r.workloads, workload)
	}
	if !slices.Contains(r.libraries[workload], library) {
		r.libraries[workload] = append(r.libraries[workload], library)
	}
	for ; len(values) >= 2; values = values[2:] {
		if value, err := strconv.ParseFloat(values[0], 64); err == nil {
			key := sample{workload, library, values[1]}
			r.values[key] = append(r.values[key], value)
		}
	}
}

// median returns the median of what was measured, and whether anything was.
func (r *results) median(workload, library, unit string) (float64, bool) {
	values := slices.Sorted(slices.Values(r.values[sample{workload, library, unit}]))
	n := len(values)
	if n == 0 {
		return 0, false
	}
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

// rounds returns the least and the most rounds of a workload.
func (r *results) rounds() (least, most int) {
	counts := make(map[int]bool)
	for _, values := range r.values {
		counts[len(values)] = true
	}
	sorted := slices.Sorted(maps.Keys(counts))
	if len(sorted) == 0 {
		return 0, 0
	}
	return sorted[0], sorted[len(sorted)-1]
}
