package main

import (
	"testing"
)

func TestParse(t *testing.T) {
	r := parse([]byte(`goos: linux
cpu: Some Processor
BenchmarkHit/keys=1000/one/readthrough-2  100  300 ns/op  0.5 cpu-ns/op  0 allocs/op
BenchmarkHit/keys=1000/one/limit-map-2  100  100 ns/op
BenchmarkHit/keys=1000/one/readthrough-2  100  500 ns/op
BenchmarkHit/keys=1000/one/readthrough-2  100  900 ns/op
PASS
`))
	const workload = "Hit/keys=1000/one"
	if got, ok := r.median(workload, "readthrough", "ns/op"); !ok || got != 500 {
		t.Errorf("the median of three rounds: %v, %v", got, ok)
	}
	if got, ok := r.median(workload, "limit-map", "ns/op"); !ok || got != 100 {
		t.Errorf("the median of one round: %v, %v", got, ok)
	}
	if _, ok := r.median(workload, "limit-map", "cpu-ns/op"); ok {
		t.Error("a median of nothing")
	}
	if got := r.header["cpu"]; got != "Some Processor" {
		t.Errorf("the processor: %q", got)
	}
	if least, most := r.rounds(); least != 1 || most != 3 {
		t.Errorf("rounds: %d to %d", least, most)
	}
}

func TestMedianOfTwoIsTheirMean(t *testing.T) {
	r := parse([]byte("BenchmarkX/a-2 1 10 ns/op\nBenchmarkX/a-2 1 20 ns/op\n"))
	if got, _ := r.median("X", "a", "ns/op"); got != 15 {
		t.Errorf("got %v", got)
	}
}
