package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
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
	got, ok := r.median(workload, "readthrough", "ns/op")
	assert.True(t, ok, "the median of three rounds")
	assert.InDelta(t, 500, got, 0, "the median of three rounds")
	got, ok = r.median(workload, "limit-map", "ns/op")
	assert.True(t, ok, "the median of one round")
	assert.InDelta(t, 100, got, 0, "the median of one round")
	_, ok = r.median(workload, "limit-map", "cpu-ns/op")
	assert.False(t, ok, "a median of nothing")
	assert.Equal(t, "Some Processor", r.header["cpu"], "the processor")
	least, most := r.rounds()
	assert.Equal(t, 1, least, "rounds")
	assert.Equal(t, 3, most, "rounds")
}

func TestMedianOfTwoIsTheirMean(t *testing.T) {
	r := parse([]byte("BenchmarkX/a-2 1 10 ns/op\nBenchmarkX/a-2 1 20 ns/op\n"))
	got, _ := r.median("X", "a", "ns/op")
	assert.InDelta(t, 15, got, 0)
}
