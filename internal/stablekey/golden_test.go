package stablekey_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/stablekey"
)

type (
	Status   string
	Level    int
	Flags    []Level
	Octet    byte
	TextByte byte

	Filters struct {
		Status  Status     `json:"status,omitempty"`
		Tags    []string   `json:"tags"`
		Systems []int64    `json:"systems,omitempty"`
		From    *time.Time `json:"from"`
		Limit   int        `json:"limit"`
		Search  *string    `json:"search"`
		Any     any        `json:"any"`
		Secret  chan int   `json:"-"`
		Renamed bool       `json:"a b"`
		Invalid bool       `json:"in\"valid,omitempty"` //nolint:staticcheck // An invalid name is the point.
		Dash    bool       `json:"-,"`                  //nolint:staticcheck // The name "-" is the point.
	}

	Base struct {
		ID   int `json:"id"`
		Kind string
	}
	inner struct {
		Promoted string `json:"promoted"`
	}
	Embedding struct {
		Base
		*inner
		Named
		Tagged `json:"tagged"`

		Kind string // hides Base.Kind
	}
	Named  int
	Tagged struct{ X int }

	Quoted struct {
		I int         `json:",string"`
		B bool        `json:",string"`
		F float64     `json:",string"`
		S string      `json:",string"`
		P *uint8      `json:",string"`
		N json.Number `json:",string"`
		L []int       `json:",string"` //nolint:staticcheck // That the option is ignored is the point.
	}

	Zeros struct {
		T time.Time `json:",omitzero"`
		B Boxed     `json:",omitzero"`
		V Valued    `json:",omitzero"`
		P *Boxed    `json:",omitzero"`
		A [2]int    `json:",omitzero"`
		E [0]int    `json:",omitempty"`
		F float64   `json:",omitzero"`
		G float64   `json:",omitempty"`
		S Base      `json:",omitempty"` //nolint:modernize // That it is never empty is the point.
	}
	Boxed  struct{ N int }
	Valued struct{ N int }

	PointerJSON struct{ Text string }
	ValueText   struct{ A, B int }
	PointerText struct{ A int }
	RawMap      map[string]int
	Tree        struct {
		Kids []*Tree `json:"kids"`
	}
	Recursive struct {
		*Recursive

		A int
	}
	TaggedWins struct {
		NotTagged
		ByTag
	}
	NotTagged struct{ X int }
	ByTag     struct {
		Y int `json:"X"`
	}
	Blank struct {
		_     int
		_     struct{}
		empty struct{} //nolint:unused // It is of size zero, which is the point.
		A     int
	}
	Ignored struct {
		A      int
		cached int `json:"-"`
	}
)

func (b *Boxed) IsZero() bool { return b.N == 7 }
func (v Valued) IsZero() bool { return v.N == 8 }

func (p *PointerJSON) MarshalJSON() ([]byte, error) { return []byte(p.Text), nil }
func (v ValueText) MarshalText() ([]byte, error)    { return []byte{byte(v.A), byte(v.B)}, nil }
func (p *PointerText) MarshalText() ([]byte, error) { return []byte(strings.Repeat("x", p.A)), nil }
func (t TextByte) MarshalText() ([]byte, error)     { return []byte{'<', byte(t), '>'}, nil }
func (r RawMap) MarshalJSON() ([]byte, error)       { return json.Marshal(len(r)) }

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at
}

// TestGolden pins the encoding: keys are shared by processes of different
// versions, so a change here is a change of every stored key.
func TestGolden(t *testing.T) {
	t.Parallel()
	at := instant(t, "2026-11-24T01:02:03.456789012+02:00")
	_ = Ignored{cached: 1}
	for _, test := range []struct {
		name string
		v    any
		want string
	}{
		{"nil", nil, `null`},
		{"bools", []bool{true, false}, `[true,false]`},
		{"ints", []any{int8(-128), int64(math.MinInt64), int64(math.MaxInt64), Level(3), time.Second}, `[-128,-9223372036854775808,9223372036854775807,3,1000000000]`},
		{"uints", []any{uint64(math.MaxUint64), uint8(7), uintptr(9)}, `[18446744073709551615,7,9]`},
		{"floats", []float64{1, -1.5, 0.1, 1e20, 1e21, 1.5e300, 1e-6, 1e-7, math.SmallestNonzeroFloat64, math.MaxFloat64}, `[1,-1.5,0.1,100000000000000000000,1e+21,1.5e+300,0.000001,1e-7,5e-324,1.7976931348623157e+308]`},
		{"signs of zero", []float64{0, math.Copysign(0, -1)}, `[0,0]`},
		{"float32", []float32{0.1, 1e-6, 16777216, math.MaxFloat32}, `[0.1,0.000001,16777216,3.4028235e+38]`},
		{"strings", []string{"", "a\"b\\c/", "\b\f\n\r\t\x00\x1f\x7f", "<&>\u2028\u2029", "å\U0001f600\ufffd"}, "[\"\",\"a\\\"b\\\\c/\",\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\",\"<&>\u2028\u2029\",\"å\U0001f600\ufffd\"]"},
		{"invalid UTF-8", []string{"\xff", "a\x80b", "\xed\xa0\x80", "\xc3"}, `["\udcff","a\udc80b","\udced\udca0\udc80","\udcc3"]`},
		{"named kinds", map[Status]Flags{"b": {2}, "a": {}}, `{"a":[],"b":[2]}`},

		{"bytes", []any{[]byte("hi?"), []byte{}, []byte(nil), []Octet{255}, [2]byte{1, 2}}, `["aGk/","",null,"/w==",[1,2]]`},
		{"bytes with a method", []TextByte{'a', 'b'}, `["<a>","<b>"]`},
		{"nil and empty", []any{[]int(nil), []int{}, map[string]int(nil), map[string]int{}, (*int)(nil)}, `[null,[],null,{},null]`},
		{"nil in a map", map[string]any{"b": nil, "a": (*int)(nil)}, `{"a":null,"b":null}`},
		{"pointers", []any{new(5), new(new("x")), new((*int)(nil))}, `[5,"x",null]`},

		{"string keys", map[string]int{"10": 1, "9": 2, "": 3, "\xff": 4, "é": 5, "Z": 6}, `{"":3,"10":1,"9":2,"Z":6,"é":5,"\udcff":4}`},
		{"integer keys", map[int16]bool{-1: true, 10: true, 9: false}, `{"-1":true,"10":true,"9":false}`},
		{"unsigned keys", map[uint64]int{math.MaxUint64: 1}, `{"18446744073709551615":1}`},
		{"text keys", map[netip.Addr]int{netip.MustParseAddr("::1"): 1, netip.MustParseAddr("10.0.0.1"): 2}, `{"10.0.0.1":2,"::1":1}`},
		{"time keys", map[time.Time]int{at: 1}, `{"2026-11-23T23:02:03.456789012Z":1}`},

		{"zero filters", Filters{}, `{"-":false,"a b":false,"limit":0}`},
		{
			"filters",
			Filters{Status: "open", Tags: []string{}, Systems: []int64{7}, From: &at, Limit: 10, Search: new(""), Any: 1.0, Secret: make(chan int), Renamed: true, Invalid: true, Dash: true},
			`{"-":true,"Invalid":true,"a b":true,"any":1,"from":"2026-11-23T23:02:03.456789012Z","limit":10,"search":"","status":"open","systems":[7],"tags":[]}`,
		},
		{"nil inside a field's interface", Filters{Any: (*int)(nil), Tags: nil}, `{"-":false,"a b":false,"limit":0}`},
		{"pointer to nil in a field", struct{ P **int }{new((*int)(nil))}, `{"P":null}`},
		{"embedding", Embedding{Base: Base{1, "hidden"}, inner: &inner{"p"}, Kind: "k", Named: 4, Tagged: Tagged{5}}, `{"Kind":"k","Named":4,"id":1,"promoted":"p","tagged":{"X":5}}`},
		{"embedded nil", Embedding{}, `{"Kind":"","Named":0,"id":0,"tagged":{"X":0}}`},
		{"embedded recursively", Recursive{&Recursive{nil, 1}, 2}, `{"A":2}`},
		{"the tag wins", TaggedWins{NotTagged{1}, ByTag{2}}, `{"X":2}`},
		{"quoted", Quoted{1, true, 1.5, "a", new(uint8(8)), "1.50", []int{1}}, `{"B":"true","F":"1.5","I":"1","L":[1],"N":"1.5","P":"8","S":"\"a\""}`},
		{"omitted", Zeros{B: Boxed{7}, V: Valued{8}, F: math.Copysign(0, -1), G: math.Copysign(0, -1)}, `{"S":{"Kind":"","id":0}}`},
		{"not omitted", Zeros{T: at, P: &Boxed{6}, A: [2]int{0, 1}, F: 1, G: 2}, `{"A":[0,1],"B":{"N":0},"F":1,"G":2,"P":{"N":6},"S":{"Kind":"","id":0},"T":"2026-11-23T23:02:03.456789012Z","V":{"N":0}}`},
		{"tree", Tree{Kids: []*Tree{{}, nil, {Kids: []*Tree{}}}}, `{"kids":[{},null,{"kids":[]}]}`},
		{"blank fields", Blank{A: 1}, `{"A":1}`},
		{"ignored unexported field", Ignored{A: 1, cached: 2}, `{"A":1}`},

		{"json.Number", []json.Number{"1", "1.0", "10e-1", "-0", "0.00", "1E+2", "12345678901234567890123", "0.1234567890123456789", "1e-7", "-1.50e-3", "0.001e5", "0.00000010", ""}, `[1,1,1,0,0,100,1.2345678901234567890123e+22,0.1234567890123456789,1e-7,-0.0015,100,1e-7,""]`},
		{"big numbers", []any{new(big.Int).Lsh(big.NewInt(1), 100), *big.NewInt(5), big.NewFloat(1.5)}, `[1.267650600228229401496703205376e+30,5,"1.5"]`},
		{"raw JSON", json.RawMessage(" { \"b\" : [ 1.0 , true,null ] ,\n\"a\":{\"\\u0061\":\"\\/\\u00e9\\ud83d\\ude00\"}, \"\":[ ] ,\"c\":{ } } "), `{"":[],"a":{"a":"/é😀"},"b":[1,true,null],"c":{}}`},
		{"raw lone surrogates", json.RawMessage(`["\ud800","\ud800\u0041","\udc00","\ud83d\ud83d\ude00","\b\f\n\r\t\"\\"]`), `["\udced\udca0\udc80","\udced\udca0\udc80A","\udced\udcb0\udc80","\udced\udca0\udcbd😀","\b\f\n\r\t\"\\"]`},
		{"raw invalid UTF-8", json.RawMessage("\"\xff\""), `"\udcff"`},
		{"raw nil", struct{ R json.RawMessage }{}, `{"R":null}`},
		{"marshaler on the pointer", PointerJSON{` 1.0`}, `1`},
		{"marshaler on the pointer, in a map", map[string]PointerJSON{"a": {`[2]`}}, `{"a":[2]}`},
		{"marshaler behind pointers", new(&PointerJSON{`3`}), `3`},
		{"text", []any{ValueText{'a', 0xff}, PointerText{3}, &PointerText{2}, net.IPv4(1, 2, 3, 4)}, `["a\udcff","xxx","xx","1.2.3.4"]`},
		{"map with a method", RawMap(nil), `0`},
		{"nil map with a method, in a field", struct{ M RawMap }{}, `{"M":0}`},
		{"time", at, `"2026-11-23T23:02:03.456789012Z"`},
		{"interfaces", []any{error(nil), json.Marshaler(json.RawMessage(`{}`))}, `[null,{}]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, v := range []any{test.v, &test.v} {
				got, err := stablekey.Encode(v)
				require.NoError(t, err, "Encode(%T)", v)
				assert.Equal(t, test.want, got, "Encode(%T)", v)
				assert.True(t, json.Valid([]byte(got)), "not JSON: %s", got)
			}
		})
	}
}

type (
	Cyclic struct{ Next *Cyclic }
	PtrPtr *PtrPtr

	Unexported struct {
		A      int
		tenant string
	}
	Hiding struct {
		Deep struct{ Unexported }
	}
	Ambiguous struct {
		AmbiguousA
		AmbiguousB
	}
	AmbiguousA struct{ X int }
	AmbiguousB struct{ X int }
	Twice      struct {
		TwiceA
		TwiceB
	}
	TwiceA struct{ AmbiguousA }
	TwiceB struct{ AmbiguousA }
	hidden int //nolint:unused // See Hidden.
	Hidden struct {
		hidden //nolint:unused // That it cannot be seen is the point.
	}

	BadJSON   struct{ Err error }
	BadText   struct{ Err error }
	PanicJSON struct{ Value any }
	PanicText struct{ Value any }
	PanicZero struct{ N int }
	secret    struct{ X int }
	TextKey   struct{ A, B string }
)

func (b BadJSON) MarshalJSON() ([]byte, error)   { return nil, b.Err }
func (b BadText) MarshalText() ([]byte, error)   { return nil, b.Err }
func (p PanicJSON) MarshalJSON() ([]byte, error) { panic(p.Value) }
func (p PanicText) MarshalText() ([]byte, error) { panic(p.Value) }
func (PanicZero) IsZero() bool                   { panic("is zero") }
func (secret) MarshalText() ([]byte, error)      { return nil, nil }
func (k TextKey) MarshalText() ([]byte, error)   { return []byte(k.A + k.B), nil }

var errOurs = errors.New("ours")

func TestErrors(t *testing.T) {
	t.Parallel()
	at := instant(t, "2026-11-24T01:02:03+02:00")
	cyclic := &Cyclic{}
	cyclic.Next = cyclic
	var pointer PtrPtr
	pointer = &pointer
	list := []any{nil}
	list[0] = list
	mapping := map[string]any{}
	mapping["self"] = mapping
	shared := []any{1}
	for range 100 {
		shared = []any{shared, shared}
	}
	_ = Unexported{tenant: ""}
	const cycle = "nested deeper than 1000 levels, or a cycle"

	for _, test := range []struct {
		name string
		v    any
		want string
	}{
		{"NaN", math.NaN(), `stablekey: value: NaN has no stable encoding`},
		{"path", &Filters{Any: map[string]any{"a\n": []any{1, 2, math.Inf(-1)}}}, `stablekey: stablekey_test.Filters.Any["a\n"][2]: -Inf has no stable encoding`},
		{"float32", []float32{float32(math.Inf(1))}, `stablekey: value[0]: +Inf has no stable encoding`},
		{"channel", make(chan int), `stablekey: value: the type chan int has no stable encoding`},
		{"nil function in a field", struct{ F func() }{}, `stablekey: value.F: the type func() has no stable encoding`},
		{"complex", []any{complex64(1)}, `stablekey: value[0]: the type complex64 has no stable encoding`},
		{"float keys", map[float64]int{}, `stablekey: value: the map key type float64 has no stable encoding (a string, an integer, or a type with MarshalText has)`},
		{"any keys", map[any]int{"a": 1}, `stablekey: value: the map key type interface {} has no stable encoding (a string, an integer, or a type with MarshalText has)`},
		{"colliding keys", map[TextKey]int{{"a", "bc"}: 1, {"ab", "c"}: 2}, `stablekey: value: two map keys have the same text "abc"`},
		{"colliding times", map[time.Time]int{at: 1, at.UTC(): 2}, `stablekey: value: two map keys have the same text "2026-11-23T23:02:03Z"`},
		{"nil key", map[*PointerText]int{nil: 1}, `stablekey: value: a nil map key has no text`},
		{"failing key", map[BadText]int{{errOurs}: 1}, `stablekey: value: MarshalText: ours`},
		{"key of a bad year", map[time.Time]int{at.AddDate(8000, 0, 0): 1}, `stablekey: value: the year 10026 is outside 0 to 9999`},

		{"pointer cycle", cyclic, `stablekey: stablekey_test.Cyclic` + strings.Repeat(".Next", 35) + `...: ` + cycle},
		{"pointer to itself", pointer, `stablekey: stablekey_test.PtrPtr: ` + cycle},
		{"slice cycle", list, `stablekey: value` + strings.Repeat("[0]", 65) + `...: ` + cycle},
		{"map cycle", mapping, `stablekey: value` + strings.Repeat(`["self"]`, 24) + `...: ` + cycle},
		{"exponential", shared[0], `stablekey: value` + strings.Repeat("[0]", 65) + "...: the encoding is longer than 4194304 bytes"},
		{"long", strings.Repeat("a", 5<<20), `stablekey: value: the encoding is longer than 4194304 bytes`},
		{"deep JSON", json.RawMessage(strings.Repeat("[", 2000) + strings.Repeat("]", 2000)), `stablekey: json.RawMessage` + strings.Repeat("[0]", 61) + `...: ` + cycle},

		{"unexported", Unexported{}, "stablekey: stablekey_test.Unexported: the field tenant is unexported: values that differ in it would share a key (export it, or tag it `json:\"-\"` if it is no part of the filter)"},
		{"unexported, embedded", Hiding{}, "stablekey: stablekey_test.Hiding.Deep: the field Unexported.tenant is unexported: values that differ in it would share a key (export it, or tag it `json:\"-\"` if it is no part of the filter)"},
		{"unexported, embedded, no struct", Hidden{}, "stablekey: stablekey_test.Hidden: the field hidden is unexported: values that differ in it would share a key (export it, or tag it `json:\"-\"` if it is no part of the filter)"},
		{"ambiguous", []Ambiguous{{}}, `stablekey: value[0]: the fields AmbiguousA.X and AmbiguousB.X both have the JSON name "X"`},
		{"embedded twice", Twice{}, `stablekey: stablekey_test.Twice: the fields TwiceA.AmbiguousA.X and TwiceB.AmbiguousA.X both have the JSON name "X"`},

		{"year", at.AddDate(8000, 0, 0), `stablekey: time.Time: the year 10026 is outside 0 to 9999`},
		{"year before", &struct{ T time.Time }{at.AddDate(-3000, 0, 0)}, `stablekey: value.T: the year -974 is outside 0 to 9999`},
		{"json.Number", json.Number("1 "), `stablekey: json.Number: the json.Number "1 " is not a JSON number`},
		{"json.Number true", json.Number("true"), `stablekey: json.Number: the json.Number "true" is not a JSON number`},
		{"json.Number 01", json.Number("01"), `stablekey: json.Number: the json.Number "01" is not a JSON number`},
		{"exponent", json.Number("1e999999999999999999999"), `stablekey: json.Number: the exponent of the number "1e999999999999999999999" is too large`},
		{"exponent about to overflow", json.RawMessage("[1, 10e9223372036854775807]"), `stablekey: json.RawMessage[1]: the exponent of the number "10e9223372036854775807" is too large`},
		{"failing MarshalJSON", []BadJSON{{errOurs}}, `stablekey: value[0]: MarshalJSON: ours`},
		{"failing MarshalText", struct{ F BadText }{BadText{errOurs}}, `stablekey: value.F: MarshalText: ours`},
		{"panicking MarshalJSON", PanicJSON{"boom"}, `stablekey: stablekey_test.PanicJSON: MarshalJSON panicked: boom`},
		{"panicking MarshalText", PanicText{errOurs}, `stablekey: stablekey_test.PanicText: MarshalText panicked: ours`},
		{"panicking key", map[PanicText]int{{"boom"}: 1}, `stablekey: value: MarshalText panicked: boom`},
		{"panicking IsZero", struct {
			F PanicZero `json:",omitzero"`
		}{}, `stablekey: value.F: IsZero panicked: is zero`},
		{"marshaler without JSON", json.RawMessage(`{"a":}`), `stablekey: json.RawMessage: MarshalJSON returned "{\"a\":}", which is not JSON`},
		{"empty marshaler", json.RawMessage{}, `stablekey: json.RawMessage: MarshalJSON returned "", which is not JSON`},
		{"long rubbish", json.RawMessage(strings.Repeat("x", 100)), `stablekey: json.RawMessage: MarshalJSON returned "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"..., which is not JSON`},
		{"name twice", json.RawMessage(`{"a":[{"b":1,"c":2,"\u0062":1}]}`), `stablekey: json.RawMessage["a"][0]: MarshalJSON returned an object that has the name "b" twice`},
		{"unreachable method", struct {
			secret    `json:"secret"`
			ValueText `json:"-"` // keeps the struct itself from having MarshalText
		}{}, `stablekey: value.secret: the methods of an unexported field cannot be called`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := stablekey.Encode(test.v)
			require.Error(t, err, "no error: %s", got)
			assert.Empty(t, got, "a result beside the error")
			assert.EqualError(t, err, test.want)
			if strings.HasSuffix(test.want, "ours") {
				assert.ErrorIs(t, err, errOurs, "the marshaler's error is not wrapped")
			}
		})
	}
}
