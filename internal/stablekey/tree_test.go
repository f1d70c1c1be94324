package stablekey_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// seedFlag repeats a random test: go test -run Name -seed N.
var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 chooses one")

func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// choices feeds a generator: from a random source or from the fuzzer's bytes.
type choices interface {
	// below returns a number in [0, n).
	below(n int) int
}

type randomChoices struct{ *rand.Rand }

func (r randomChoices) below(n int) int { return r.IntN(n) }

// byteChoices are zeros when the bytes are used up.
type byteChoices struct{ data []byte }

func (b *byteChoices) below(n int) int {
	if len(b.data) == 0 {
		return 0
	}
	c := b.data[0]
	b.data = b.data[1:]
	return int(c) % n
}

// node is the model of a value, independent of how it is encoded.
type node struct {
	kind    string // null, bool, number, string, list, object
	boolean bool
	number  any // int64, uint64, float64 or json.Number
	text    string
	list    []*node
	names   []string // of an object, distinct; list has the values
}

// alphabet has what an encoder is likely to confuse.
var alphabet = []string{"a", "b", "\x00", "\"", "\\", "\n", "\x7f", "\x80", "\xff", "\xed", "\xa0", "\u0080", "\ufffd", "\u2028", "u", "d", "c", "8", "0", "<", ":", ",", "{", "[", "\U0001f600", "\xf0\x9f"}

func genText(c choices) string {
	var text string
	for range c.below(4) {
		text += alphabet[c.below(len(alphabet))]
	}
	return text
}

var numbers = []any{
	int64(0), int64(1), int64(-1), int64(10), int64(math.MaxInt64), int64(math.MaxInt64 - 1), int64(math.MinInt64),
	uint64(1), uint64(math.MaxUint64), uint64(math.MaxUint64 - 1),
	0.0, math.Copysign(0, -1), 1.0, 0.1, -0.1, 0.1 + 0.2, 0.3, 1e21, 1e-7, 9223372036854775807.0, math.MaxFloat64, math.SmallestNonzeroFloat64,
	json.Number("1.0"), json.Number("10e-1"), json.Number("1e21"), json.Number("0.10"), json.Number("18446744073709551615"), json.Number("18446744073709551616"), json.Number("-0.0"),
}

func genNode(c choices, depth int) *node {
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	switch c.below(kinds) {
	case 0:
		return &node{kind: "null"}
	case 1:
		return &node{kind: "bool", boolean: c.below(2) == 1}
	case 2:
		return &node{kind: "number", number: numbers[c.below(len(numbers))]}
	case 3:
		return &node{kind: "string", text: genText(c)}
	case 4:
		n := &node{kind: "list"}
		for range c.below(4) {
			n.list = append(n.list, genNode(c, depth-1))
		}
		return n
	default:
		n := &node{kind: "object"}
		for range c.below(5) {
			if name := genText(c); !slices.Contains(n.names, name) {
				n.names = append(n.names, name)
				n.list = append(n.list, genNode(c, depth-1))
			}
		}
		return n
	}
}

// build makes the Go value. Maps are filled in an order of its own.
func (n *node) build(r *rand.Rand) any {
	switch n.kind {
	case "null":
		return nil
	case "bool":
		return n.boolean
	case "number":
		return n.number
	case "string":
		return n.text
	case "list":
		list := make([]any, len(n.list))
		for i, child := range n.list {
			list[i] = child.build(r)
		}
		return list
	default:
		object := make(map[string]any, r.IntN(20))
		for _, i := range r.Perm(len(n.names)) {
			object[n.names[i]] = n.list[i].build(r)
		}
		return object
	}
}

// rational is the exact value of a number.
func rational(number any) *big.Rat {
	text := fmt.Sprint(number)
	if x, ok := number.(float64); ok {
		// The value of a float is that of its shortest digits, which is what it
		// stands for in JSON.
		text = big.NewFloat(x).Text('g', -1)
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		panic(fmt.Sprintf("%v is no number", number))
	}
	return exact
}

func (n *node) equal(o *node) bool {
	if n.kind != o.kind || len(n.list) != len(o.list) {
		return false
	}
	switch n.kind {
	case "bool":
		return n.boolean == o.boolean
	case "number":
		return rational(n.number).Cmp(rational(o.number)) == 0
	case "string":
		return n.text == o.text
	case "list":
		return slices.EqualFunc(n.list, o.list, (*node).equal)
	case "object":
		for i, name := range n.names {
			j := slices.Index(o.names, name)
			if j < 0 || !n.list[i].equal(o.list[j]) {
				return false
			}
		}
	}
	return true
}

// change returns a copy of n that differs in one place, most of the time.
func (n *node) change(c choices) *node {
	if len(n.list) == 0 || c.below(4) == 0 {
		return genNode(c, 1)
	}
	changed := *n
	changed.list = slices.Clone(n.list)
	i := c.below(len(n.list))
	switch c.below(4) {
	case 0: // leave one out
		changed.list = slices.Delete(changed.list, i, i+1)
		if n.kind == "object" {
			changed.names = slices.Delete(slices.Clone(n.names), i, i+1)
		}
	case 1: // exchange two values
		j := c.below(len(n.list))
		changed.list[i], changed.list[j] = changed.list[j], changed.list[i]
	default:
		changed.list[i] = n.list[i].change(c)
	}
	return &changed
}
