package stablekey_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/stablekey"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	key, err := stablekey.Encode(v)
	require.NoError(t, err, "Encode(%#v)", v)
	return key
}

// checkPair is the property that everything rests on: equal encodings exactly
// for equal values, whatever the order of the maps.
func checkPair(t *testing.T, a, b *node, r *rand.Rand) {
	t.Helper()
	keyA, keyB := encode(t, a.build(r)), encode(t, b.build(r))
	require.Equal(t, keyA, encode(t, a.build(r)), "one value, two encodings")
	require.Equal(t, a.equal(b), keyA == keyB, "encodings:\n%s\n%s", keyA, keyB)
	require.True(t, json.Valid([]byte(keyA)), "not JSON: %s", keyA)
}

func TestEqualExactlyIfEqual(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	c := randomChoices{r}
	var equal, different int
	for range 5_000 {
		a := genNode(c, 3)
		b := a.change(c)
		checkPair(t, a, b, r)
		if a.equal(b) {
			equal++
		} else {
			different++
		}
	}
	assert.GreaterOrEqual(t, equal, 100, "a weak test: equal pairs")
	assert.GreaterOrEqual(t, different, 1000, "a weak test: different pairs")
}

// shape has a field of each kind that a filter is likely to have.
type shape struct {
	shapeEmbedded

	Bool    bool
	Int     int64 `json:"int"`
	Uint    uint64
	Float   float64
	Float32 float32
	Text    string `json:"text"`
	Time    time.Time
	Until   *time.Time
	Bytes   []byte
	Array   [2]int8
	List    []string
	Lists   [][]int
	Map     map[string]*int
	ByID    map[int]string
	Pointer *string
	Deep    **int
	Any     any
	Inner   shapeInner
	Outer   *shapeInner
	Number  json.Number
	Quoted  string `json:",string"`
	Text2   ValueText
}

type shapeInner struct {
	A, B *int
	C    []shapeInner
}

type shapeEmbedded struct{ E, F string }

// TestEveryFieldCounts sets every field of a filter to every one of its values:
// no two filters may share a key.
func TestEveryFieldCounts(t *testing.T) {
	t.Parallel()
	at := instant(t, "2026-11-24T00:00:00Z")
	values := map[string][]any{
		"Bool": {true}, "Int": {int64(1), int64(math.MaxInt64), int64(math.MaxInt64 - 1), int64(math.MinInt64)},
		"Uint": {uint64(1), uint64(math.MaxUint64), uint64(math.MaxUint64 - 1)}, "Float": {1.0, 0.1, math.Nextafter(0.1, 1), 1e300, -1e-300},
		"Float32": {float32(0.1), math.Nextafter32(0.1, 1), float32(1e-7)}, "Text": {"a", "b", "\xff", "\xfe", "\ufffd", `\udcff`, "null", "\x00"},
		"Time": {at, at.Add(1), at.Add(-1), at.Add(time.Hour)}, "Until": {&at, &time.Time{}},
		"Bytes": {[]byte{}, []byte{0}, []byte{0, 0}, []byte("AA==")}, "Array": {[2]int8{1}, [2]int8{0, 1}, [2]int8{1, 1}},
		"List": {[]string{}, []string{""}, []string{"", ""}, []string{"a b", "c"}, []string{"a", "b c"}, []string{`a","b`}}, "Lists": all([][][]int{{}, {nil}, {{}}, {{1}, {2}}, {{1, 2}}, {{1, 2}, {}}}),
		"Map":     all([]map[string]*int{{}, {"": nil}, {"a": nil}, {"a": new(0)}, {"a": nil, "b": nil}, {"\xff": nil}, {"\ufffd": nil}}),
		"ByID":    all([]map[int]string{{}, {1: "a"}, {-1: "a"}, {1: "a", 2: ""}}),
		"Pointer": {new(""), new("null")}, "Deep": {new((*int)(nil)), new(new(0))},
		"Any":   {1, "1", true, "true", "null", []any{}, []any{nil}, map[string]any{}, map[string]any{"a": 1}, []string{"a"}, ""},
		"Inner": {shapeInner{A: new(0)}, shapeInner{B: new(0)}, shapeInner{C: []shapeInner{}}, shapeInner{C: []shapeInner{{}}}}, "Outer": {&shapeInner{}, &shapeInner{A: new(0)}},
		"Number": {json.Number("0"), json.Number("1.5"), json.Number("9007199254740993"), json.Number("9007199254740992")}, "Quoted": {"a", `"a"`, `\"a\"`},
		"Text2": {ValueText{'a', 'b'}, ValueText{0xff, 0xfe}, ValueText{0xff, 0xff}}, "E": {"x"}, "F": {"x", "y"},
	}
	seen := map[string]string{encode(t, shape{}): "zero"}
	fields := 0
	for _, sf := range reflect.VisibleFields(reflect.TypeFor[shape]()) {
		if sf.Anonymous {
			continue
		}
		fields++
		assert.NotEmpty(t, values[sf.Name], "no values for the field %s", sf.Name)
		for _, value := range values[sf.Name] {
			var s shape
			reflect.ValueOf(&s).Elem().FieldByIndex(sf.Index).Set(convert(value, sf.Type))
			key, name := encode(t, s), sf.Name+" "+encode(t, value)
			other, taken := seen[key]
			assert.False(t, taken, "%s and %s share the key %s", other, name, key)
			seen[key] = name
			assert.Equal(t, key, encode(t, &s), "%s: a pointer to it has another key", name)
		}
	}
	assert.Equal(t, len(values), fields, "values for each field")
}

func all[T any](values []T) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

func convert(value any, t reflect.Type) reflect.Value {
	if v := reflect.ValueOf(value); v.Type() != t && t.Kind() != reflect.Interface {
		return v.Convert(t)
	}
	return reflect.ValueOf(value)
}

// TestAsEncodingJSON: where nothing is nil, what we write for a struct is what
// encoding/json writes, in our form.
func TestAsEncodingJSON(t *testing.T) {
	t.Parallel()
	at := instant(t, "2026-11-24T00:00:00.5Z")
	for _, v := range []any{
		Embedding{Base: Base{1, "x"}, inner: &inner{"p"}, Kind: "k"},
		Filters{Status: "<&>", Tags: []string{"\u2028", "\x7f\x1f"}, Systems: []int64{1}, From: &at, Search: new("s"), Any: 1.5e-9, Invalid: true},
		Quoted{I: -5, F: 1e21, S: "a\"\n", P: new(uint8(1)), N: "1.5", L: []int{}},
		Zeros{T: at, A: [2]int{1, 0}},
		map[Level]map[string]float32{3: {"b": 0.1, "a": 1e-7}, -4: {}},
		[]any{[]byte("x"), net4, Octet(4), TextByte('a'), []TextByte{'b'}, [1]byte{3}, at, time.Second},
	} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		got, want := encode(t, v), encode(t, json.RawMessage(text))
		assert.Equal(t, want, got, "%T", v)
	}
}

var net4 = []byte{127, 0, 0, 1}

func TestEqualInstantsInDifferentZones(t *testing.T) {
	t.Parallel()
	type filter struct{ From time.Time }
	at := time.Now() // with a monotonic reading
	zoned := at.In(time.FixedZone("elsewhere", -9*3600))
	a, b := encode(t, filter{at}), encode(t, filter{zoned})
	assert.Equal(t, b, a, "one instant, two keys")
	a, b = encode(t, filter{at}), encode(t, filter{at.Add(1)})
	assert.NotEqual(t, b, a, "two instants, one key")
}

func TestAppendEncode(t *testing.T) {
	t.Parallel()
	prefix := append(make([]byte, 0, 100), "list:"...)
	got, err := stablekey.AppendEncode(prefix, map[string]int{"b": 2, "a": 1})
	assert.NoError(t, err, "AppendEncode")
	assert.Equal(t, `list:{"a":1,"b":2}`, string(got), "AppendEncode")
	got, err = stablekey.AppendEncode(prefix, []any{1, make(chan int)})
	assert.Error(t, err, "AppendEncode of a channel")
	assert.Equal(t, "list:", string(got), "AppendEncode of a channel")
	// The bound is on the encoding, not on what was there before.
	_, err = stablekey.AppendEncode(bytes.Repeat([]byte{'x'}, 5<<20), 1)
	assert.NoError(t, err)
}

// TestConcurrent is for the race detector: plans are made by many at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	type first struct{ A, B any }
	want := `{"A":{"A":1},"B":["` + strings.Repeat("x", 10) + `"]}`
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			key, err := stablekey.Encode(first{A: first{A: 1}, B: []string{strings.Repeat("x", 10)}})
			assert.NoError(t, err, "Encode")
			assert.Equal(t, want, key, "Encode")
		})
	}
	group.Wait()
}

// TestErrorsDoNotPile: the error of a type is kept with its plan; the path of
// one use must not be seen in another.
func TestErrorsDoNotPile(t *testing.T) {
	t.Parallel()
	for _, v := range []any{[]any{Unexported{}}, Unexported{}, map[string]any{"k": Unexported{}}} {
		_, first := stablekey.Encode(v)
		_, second := stablekey.Encode(v)
		assert.Error(t, first, "%T", v)
		if assert.Error(t, second, "%T", v) {
			assert.EqualError(t, first, second.Error(), "%T", v)
		}
	}
}
