package redisprovider

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
)

// TestSlotOf compares with a server.
func TestSlotOf(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{Args: []string{"--cluster-enabled", "yes"}})
	p := &Provider{prefix: "rt:", buckets: 100}
	for _, scope := range []string{"", "s", "{x}", "\xff\x00", "a long scope with spaces"} {
		for _, b := range p.bucketsOf(scope)[:20] {
			got, want := fmt.Sprint(slotOf(b)), fmt.Sprint(s.Do("CLUSTER", "KEYSLOT", b.value("{other}")))
			assert.Equal(t, want, got, "the slot of %q", b)
		}
	}
}

func TestReadOwnSlots(t *testing.T) {
	t.Parallel()
	const nodes = "aa 10.0.0.1:1@11 master - 0 0 7 connected 0-99 [5->-bb]\n" +
		"bb 10.0.0.2:1@11 myself,master - 0 0 8 connected 100-199 300 [93-<-aa] [77->-cc]\n" +
		"cc 10.0.0.3:1@11 slave aa 0 0 7 connected\n"
	own, moving, err := readOwnSlots(nodes)
	assert.NoError(t, err, "read")
	assert.Equal(t, "bb 8 100-199 300", own, "read")
	assert.Equal(t, []string{"93", "77"}, moving, "read")
	own, moving, err = readOwnSlots("bb :0@0 myself,master - 0 0 8 connected\n")
	assert.NoError(t, err, "a node without slots")
	assert.Equal(t, "bb 8", own, "a node without slots")
	assert.Empty(t, moving, "a node without slots")
	_, _, err = readOwnSlots("cc 10.0.0.3:1@11 slave aa 0 0 7 connected\n")
	assert.Error(t, err, "no error without the node itself")
}

// TestBucketsAreStable checks what processes must agree on.
func TestBucketsAreStable(t *testing.T) {
	t.Parallel()
	p := &Provider{prefix: "rt:", buckets: 16}
	for name, want := range map[string]string{
		"":          "rt:{s#5}:v:",
		"a":         "rt:{s#12}:v:a",
		"name:1":    "rt:{s#15}:v:name:1",
		"{tag}\xff": "rt:{s#6}:v:{tag}\xff",
	} {
		assert.Equal(t, want, p.keyOf(provider.Key{Scope: "s", Name: name}), "the key of %q", name)
	}
	counts := make(map[bucket]int)
	for i := range 16_000 {
		counts[p.bucketOf(provider.Key{Scope: "s", Name: fmt.Sprint("name:", i)})]++
	}
	for b, n := range counts {
		assert.GreaterOrEqual(t, n, 500, "names of 16,000 that lie in %q", b)
		assert.LessOrEqual(t, n, 2000, "names of 16,000 that lie in %q", b)
	}
}
