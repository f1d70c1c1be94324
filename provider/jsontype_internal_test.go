package provider

import (
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type inner struct {
	A int8 `json:"a"`
	B *string
}

type plainStruct struct {
	inner

	Text    string            `json:"text,omitempty"`
	List    []inner           `json:",omitzero"`
	Table   map[string][]byte `json:"t.a-b_l"`
	Numbers map[int8]float32
	Array   [3]uint16
	Bool    bool `json:",omitempty"`
	_       int
}

// random is plainStruct with exported fields only, as package quick wants it.
type random struct {
	Inner

	Text    string            `json:"text,omitempty"`
	List    []inner           `json:",omitzero"`
	Table   map[string][]byte `json:"t.a-b_l"`
	Numbers map[int8]float32
	Array   [3]uint16
}

type Inner inner

type timed struct {
	At  time.Time `json:",omitzero"`
	All map[string][]*time.Time
}

type unzero int

func (unzero) IsZero() bool { return true }

// TestJSONTypes: a type that is not risky is one whose values come back, and the walk knows the types that
// most programs store.
func TestJSONTypes(t *testing.T) {
	for _, test := range []struct {
		of    any
		risky bool
		times bool
	}{
		{of: plainStruct{}},
		{of: map[string]map[uint64][]plainStruct{}},
		{of: &plainStruct{}},
		{of: (*struct{})(nil)},
		{of: timed{}, times: true},
		{of: []time.Time{}, times: true},
		{of: map[time.Time]int{}, risky: true},
		{of: struct{ A any }{}, risky: true},
		{of: struct{ a int }{}, risky: true},
		{of: struct {
			A int `json:"-"`
		}{}, risky: true},
		{of: struct {
			A int `json:",string"`
		}{}, risky: true},
		{of: struct {
			A int `json:"ä"`
		}{}, risky: true},
		{of: struct {
			A map[string]int `json:",omitempty"`
		}{}, risky: true},
		{of: struct {
			A unzero `json:",omitzero"`
		}{}, risky: true},
		{of: struct{ *inner }{}, risky: true},
		{of: struct{ time.Time }{}, risky: true},
		{of: struct {
			time.Time `json:"at"`
		}{}, risky: true},
		{of: struct {
			inner

			Other int `json:"a"`
		}{}, risky: true},
		{of: new(*int), risky: true},
		{of: new([]int), risky: true},
		{of: []chan int{}, risky: true},
		{of: complex(1, 1), risky: true},
		{of: struct{ Next []struct{ A []byte } }{}},
	} {
		typ := reflect.TypeOf(test.of)
		got := jsonTypeOf(typ)
		assert.Equal(t, test.risky, got.risky, "risky %v", typ)
		if !test.risky {
			assert.Equal(t, test.times, got.times, "times in %v", typ)
		}
	}
	type recursive struct{ Next []recursive }
	assert.True(t, jsonTypeOf(reflect.TypeFor[recursive]()).risky, "a recursive type")
}

// TestExactMeansExact: what is stored without being decoded would have come back, for random values.
func TestExactMeansExact(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed)) //nolint:gosec // a test
	exact, lossy := 0, 0
	for _, typ := range []reflect.Type{
		reflect.TypeFor[random](), reflect.TypeFor[*random](), reflect.TypeFor[[]random](),
		reflect.TypeFor[map[string]random](), reflect.TypeFor[string](), reflect.TypeFor[[]string](),
		reflect.TypeFor[map[string]string](), reflect.TypeFor[[][]byte](), reflect.TypeFor[struct{ A any }](),
		reflect.TypeFor[map[int]*[]int](), reflect.TypeFor[[]float64](), reflect.TypeFor[struct{ A, B string }](),
	} {
		for range 200 {
			v, ok := quick.Value(typ, r)
			if !ok {
				v = reflect.New(typ).Elem()
			}
			if v.Kind() == reflect.String && r.Intn(2) == 0 {
				v.SetString(string([]byte{byte(r.Intn(256)), byte(r.Intn(256))}))
			}
			c := NewChecker(JSON())
			encoded, err := Encode(JSON(), v.Interface())
			require.NoError(t, err)
			err = c.compare(v.Interface(), encoded)
			if !c.isExact(JSON(), v.Interface(), encoded.Data) {
				lossy++
				continue
			}
			exact++
			require.NoError(t, err, "%v", strings.ToValidUTF8(fmt.Sprintf("%#v", v), "?"))
		}
	}
	t.Logf("%d without a look, %d with", exact, lossy)
	assert.Greater(t, exact, 100)
	assert.Greater(t, lossy, 100)
}

func BenchmarkChecker(b *testing.B) {
	text := strings.Repeat("text ", 10)
	plain := plainStruct{Text: text, List: []inner{{A: 1}, {A: 2}}, Table: map[string][]byte{"a": []byte(text)}}
	for name, v := range map[string]any{
		"exact": plain,
		"times": struct {
			plainStruct

			At time.Time
		}{plain, time.Now()},
		"risky": struct {
			plainStruct

			Any any
		}{plain, "x"},
	} {
		b.Run(name+"/encode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Encode(JSON(), v)
			}
		})
		b.Run(name+"/check", func(b *testing.B) {
			b.ReportAllocs()
			c := NewChecker(JSON())
			for b.Loop() {
				if _, err := c.Encode(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
