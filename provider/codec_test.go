package provider_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/readthrough/readthrough/provider"
)

type maintenance struct {
	ID      int64
	Title   string
	Systems []string
	Notes   map[string]string `json:",omitempty"`
	Start   time.Time
	Next    *maintenance
}

// unrelated can be read from the JSON of any object.
type unrelated struct{ Different string }

type (
	ids  []int
	any2 interface{ Any() }
)

// gobCodec is a codec that is not JSON.
type gobCodec struct{}

func (gobCodec) Name() string { return "gob" }

func (gobCodec) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func (gobCodec) Unmarshal(data []byte, v any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

// badCodec panics, or returns what it is told.
type badCodec struct {
	panicWith any
	err       error
}

func (badCodec) Name() string { return "bad" }

func (c badCodec) Marshal(any) ([]byte, error) {
	if c.panicWith != nil {
		panic(c.panicWith)
	}
	return []byte("bad"), c.err
}

func (c badCodec) Unmarshal([]byte, any) error {
	if c.panicWith != nil {
		panic(c.panicWith)
	}
	return c.err
}

// roundTrip encodes value and decodes it into its own type.
func roundTrip(t *testing.T, codec provider.Codec, value any) any {
	t.Helper()
	encoded, err := provider.Encode(codec, value)
	if err != nil {
		t.Fatalf("Encode(%T): %v", value, err)
	}
	into := reflect.New(reflect.TypeOf(value))
	if err := encoded.Decode(into.Interface()); err != nil {
		t.Fatalf("Decode of a %T: %v", value, err)
	}
	return into.Elem().Interface()
}

func TestJSONRoundTrip(t *testing.T) {
	full := maintenance{
		ID: math.MaxInt64, Title: "a \"quoted\" <title>\n\x00\u2028", Systems: []string{"", "b"},
		Notes: map[string]string{"k": "v", "": ""}, Start: time.Date(2026, 11, 24, 1, 2, 3, 4, time.UTC),
	}
	full.Next = &maintenance{ID: 1}
	for _, value := range []any{
		full, &full,
		maintenance{},
		(*maintenance)(nil),
		[]maintenance{full},
		[]maintenance{},
		[]maintenance(nil),
		map[string]*maintenance{"a": &full, "b": nil},
		map[string]int{},
		"", "text", 0, int64(1)<<53 + 1, uint64(math.MaxUint64),
		3.5, true, false,
		[]byte{0, 0xff},
		[2]int{1, 2},
		ids{1, 2},
		struct{}{},
		time.Duration(5),
	} {
		if got := roundTrip(t, provider.JSON(), value); !reflect.DeepEqual(got, value) {
			t.Errorf("a %T came back as %#v, want %#v", value, got, value)
		}
	}
}

func TestOtherCodecRoundTrip(t *testing.T) {
	value := maintenance{ID: 7, Title: "t", Systems: []string{"a"}}
	if got := roundTrip(t, gobCodec{}, value); !reflect.DeepEqual(got, value) {
		t.Errorf("came back as %#v, want %#v", got, value)
	}
}

func TestJSONName(t *testing.T) {
	if name := provider.JSON().Name(); name != "json" {
		t.Errorf("the name is %q: it is in what is stored and must stay \"json\"", name)
	}
}

// A nil interface value is an ordinary value: it is read by who asks for an
// interface.
func TestEncodeNil(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), nil)
	if err != nil || encoded.Type != "nil" {
		t.Fatalf("Encode(nil) has type %q and error %v", encoded.Type, err)
	}
	var into any = "something"
	if err := encoded.Decode(&into); err != nil || into != nil {
		t.Errorf("decoded into an interface: %v, error %v; want nil", into, err)
	}
	var number int
	if err := encoded.Decode(&number); !errors.Is(err, provider.ErrUndecodable) {
		t.Errorf("decoded into an int: error %v, want ErrUndecodable", err)
	}
	var pointer *maintenance
	if err := encoded.Decode(&pointer); !errors.Is(err, provider.ErrUndecodable) {
		t.Errorf("decoded into a pointer: error %v, want ErrUndecodable: a nil interface is not a nil pointer", err)
	}
}

func TestEncodeRemembersTypeAndCodec(t *testing.T) {
	encoded, err := provider.Encode(gobCodec{}, &maintenance{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	if encoded.Type != "*provider_test.maintenance" || encoded.Codec != (gobCodec{}) || len(encoded.Data) == 0 {
		t.Errorf("Encode returned type %q, codec %v, %d bytes", encoded.Type, encoded.Codec, len(encoded.Data))
	}
}

func TestTypeName(t *testing.T) {
	for want, typ := range map[string]reflect.Type{
		"nil":                            nil,
		"int":                            reflect.TypeFor[int](),
		"[]uint8":                        reflect.TypeFor[[]byte](),
		"provider_test.maintenance":      reflect.TypeFor[maintenance](),
		"*provider_test.maintenance":     reflect.TypeFor[*maintenance](),
		"[]provider_test.maintenance":    reflect.TypeFor[[]maintenance](),
		"map[string]time.Time":           reflect.TypeFor[map[string]time.Time](),
		"provider_test.ids":              reflect.TypeFor[ids](),
		"interface {}":                   reflect.TypeFor[any](),
		"error":                          reflect.TypeFor[error](),
		"provider_test.pair[int,string]": reflect.TypeFor[pair[int, string]](),
		"struct { A int \"json:\\\"a\\\"\" }": reflect.TypeFor[struct {
			A int `json:"a"`
		}](),
	} {
		if got := provider.TypeName(typ); got != want {
			t.Errorf("TypeName(%v) = %q, want %q", typ, got, want)
		}
	}
}

type pair[A, B any] struct {
	First  A
	Second B
}

// A value is decoded into its own type and no other, though JSON permits many.
func TestDecodeComparesTypes(t *testing.T) {
	encode := func(value any) provider.Encoded {
		encoded, err := provider.Encode(provider.JSON(), value)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	for _, c := range []struct {
		stored any
		into   any
		ok     bool
	}{
		{maintenance{ID: 1}, new(maintenance), true},
		{maintenance{ID: 1}, new(unrelated), false},
		{maintenance{ID: 1}, new(*maintenance), false},
		{&maintenance{ID: 1}, new(maintenance), false},
		{&maintenance{ID: 1}, new(*maintenance), true},
		{(*maintenance)(nil), new(*maintenance), true},
		{maintenance{ID: 1}, new(map[string]any), false},
		{maintenance{ID: 1}, new(any), true},
		{1, new(int64), false},
		{1, new(float64), false},
		{1, new(string), false},
		{"1", new(int), false},
		{[]int{1}, new(ids), false},
		{[]int{1}, new([]int64), false},
		{pair[int, string]{}, new(pair[int, int]), false},
		{maintenance{}, new(any2), false}, // an interface that JSON cannot decode into
	} {
		err := encode(c.stored).Decode(c.into)
		if c.ok != (err == nil) || (err != nil && !errors.Is(err, provider.ErrUndecodable)) {
			t.Errorf("a %T decodes into a %T with error %v, want success %v or ErrUndecodable", c.stored, c.into, err, c.ok)
		}
	}
}

// The error of a wrong type names both types.
func TestDecodeNamesTypes(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), maintenance{})
	if err != nil {
		t.Fatal(err)
	}
	err = encoded.Decode(new(unrelated))
	if err == nil || !strings.Contains(err.Error(), "provider_test.maintenance") || !strings.Contains(err.Error(), "provider_test.unrelated") {
		t.Errorf("error %v names not both types", err)
	}
}

func TestDecodeBadBytes(t *testing.T) {
	name := provider.TypeName(reflect.TypeFor[maintenance]())
	for _, data := range []string{"", "{", "null null", "[]", `"text"`, `{"ID":"x"}`, "\x00\xff", strings.Repeat("[", 100_000)} {
		encoded := provider.Encoded{Data: []byte(data), Type: name, Codec: provider.JSON()}
		if err := encoded.Decode(new(maintenance)); !errors.Is(err, provider.ErrUndecodable) {
			t.Errorf("%.20q decodes with error %v, want ErrUndecodable", data, err)
		}
	}
}

func TestDecodeIntoNoPointer(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := encoded.Decode((*int)(nil)); err == nil {
		t.Error("Decode into a nil pointer returned no error")
	}
	// This is a mistake of the caller, and not the entry's fault.
	for _, into := range []any{nil, 1, maintenance{}, []int{1}, map[string]int{}} {
		err := encoded.Decode(into)
		if err == nil || errors.Is(err, provider.ErrUndecodable) || !strings.Contains(err.Error(), "not a pointer") {
			t.Errorf("Decode(%#v): error %v, want one that says it is not a pointer", into, err)
		}
	}
}

// An Encoded without a codec is an error and no panic.
func TestDecodeWithoutCodec(t *testing.T) {
	if err := (provider.Encoded{Data: []byte("1"), Type: "int"}).Decode(new(int)); !errors.Is(err, provider.ErrUndecodable) {
		t.Errorf("error %v, want ErrUndecodable", err)
	}
}

// jsonPanics is a value whose own methods panic.
type jsonPanics struct{}

func (jsonPanics) MarshalJSON() ([]byte, error) { panic("marshal of a value") }

func (*jsonPanics) UnmarshalJSON([]byte) error { panic("unmarshal of a value") }

func TestEncodeErrors(t *testing.T) {
	cause := errors.New("cause")
	cyclic := &maintenance{}
	cyclic.Next = cyclic
	for name, c := range map[string]struct {
		codec provider.Codec
		value any
		text  string
	}{
		"channel":             {provider.JSON(), make(chan int), "chan int"},
		"function":            {provider.JSON(), func() {}, "func()"},
		"NaN":                 {provider.JSON(), math.NaN(), "json"},
		"cycle":               {provider.JSON(), cyclic, "cycle"},
		"panic of a value":    {provider.JSON(), jsonPanics{}, "marshal of a value"},
		"panic of the codec":  {badCodec{panicWith: "oh"}, 1, "oh"},
		"panic with an error": {badCodec{panicWith: cause}, 1, "cause"},
		"error of the codec":  {badCodec{err: cause}, 1, "cause"},
		"no codec":            {nil, 1, "panic"},
	} {
		encoded, err := provider.Encode(c.codec, c.value)
		if !errors.Is(err, provider.ErrUnencodable) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: error %v, want ErrUnencodable with %q", name, err, c.text)
		}
		if encoded.Data != nil || encoded.Type != "" || encoded.Codec != nil {
			t.Errorf("%s: Encode returned %+v together with an error", name, encoded)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	cause := errors.New("cause")
	for name, c := range map[string]struct {
		encoded provider.Encoded
		into    any
		text    string
	}{
		"panic of a value":    {provider.Encoded{Data: []byte("{}"), Type: "provider_test.jsonPanics", Codec: provider.JSON()}, new(jsonPanics), "unmarshal of a value"},
		"panic of the codec":  {provider.Encoded{Type: "int", Codec: badCodec{panicWith: "oh"}}, new(int), "oh"},
		"panic with an error": {provider.Encoded{Type: "int", Codec: badCodec{panicWith: cause}}, new(int), "cause"},
		"error of the codec":  {provider.Encoded{Type: "int", Codec: badCodec{err: cause}}, new(int), "codec bad"},
	} {
		err := c.encoded.Decode(c.into)
		if !errors.Is(err, provider.ErrUndecodable) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: error %v, want ErrUndecodable with %q", name, err, c.text)
		}
	}
}

// The error of a codec stays in the chain.
func TestCodecErrorsUnwrap(t *testing.T) {
	cause := errors.New("cause")
	if _, err := provider.Encode(badCodec{err: cause}, 1); !errors.Is(err, cause) {
		t.Errorf("Encode: error %v does not match the codec's", err)
	}
	if err := (provider.Encoded{Type: "int", Codec: badCodec{err: cause}}).Decode(new(int)); !errors.Is(err, cause) {
		t.Errorf("Decode: error %v does not match the codec's", err)
	}
}

// Entries are shared: many readers decode one at the same time, and its bytes
// stay as they are.
func TestDecodeIsSafeConcurrently(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), maintenance{ID: 7, Systems: []string{"a"}, Notes: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(encoded.Data)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				var m maintenance
				if err := encoded.Decode(&m); err != nil || m.ID != 7 || m.Notes["a"] != "b" {
					t.Errorf("decoded %+v with error %v", m, err)
				}
				m.Systems[0], m.Notes["a"] = "changed", "changed"
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(before, encoded.Data) {
		t.Errorf("decoding changed the bytes from %q to %q", before, encoded.Data)
	}
}

// FuzzDecodeJSON: whatever the bytes, the error is nil or ErrUndecodable, and
// what was decoded survives another round trip.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{"", "null", "{}", `{"ID":1,"Systems":["a"]}`, `{"Next":{"Next":null}}`, "\xff", `{"Start":"x"}`} {
		f.Add([]byte(seed))
	}
	name := provider.TypeName(reflect.TypeFor[maintenance]())
	f.Fuzz(func(t *testing.T, data []byte) {
		var value maintenance
		err := provider.Encoded{Data: data, Type: name, Codec: provider.JSON()}.Decode(&value)
		if err != nil {
			if !errors.Is(err, provider.ErrUndecodable) {
				t.Fatalf("error %v, want ErrUndecodable", err)
			}
			return
		}
		again, ok := roundTrip(t, provider.JSON(), value).(maintenance)
		if !ok || fmt.Sprintf("%+v", again.Systems) != fmt.Sprintf("%+v", value.Systems) || again.ID != value.ID || again.Title != value.Title {
			t.Fatalf("%+v came back as %+v", value, again)
		}
	})
}
