package provider_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	require.NoError(t, err, "Encode(%T)", value)
	into := reflect.New(reflect.TypeOf(value))
	require.NoError(t, encoded.Decode(into.Interface()), "Decode of a %T", value)
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
		assert.Equal(t, value, roundTrip(t, provider.JSON(), value), "a %T came back", value)
	}
}

func TestOtherCodecRoundTrip(t *testing.T) {
	value := maintenance{ID: 7, Title: "t", Systems: []string{"a"}}
	assert.Equal(t, value, roundTrip(t, gobCodec{}, value), "what came back")
}

func TestJSONName(t *testing.T) {
	assert.Equal(t, "json", provider.JSON().Name(), "the name is in what is stored and must stay the same")
}

// A nil interface value is an ordinary value: it is read by who asks for an
// interface.
func TestEncodeNil(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), nil)
	require.NoError(t, err, "Encode(nil)")
	require.Equal(t, "nil", encoded.Type, "Encode(nil)")
	var into any = "something"
	assert.NoError(t, encoded.Decode(&into), "decoded into an interface")
	assert.Nil(t, into, "decoded into an interface")
	var number int
	assert.ErrorIs(t, encoded.Decode(&number), provider.ErrUndecodable, "decoded into an int")
	var pointer *maintenance
	assert.ErrorIs(t, encoded.Decode(&pointer), provider.ErrUndecodable, "decoded into a pointer: a nil interface is not a nil pointer")
}

func TestEncodeRemembersTypeAndCodec(t *testing.T) {
	encoded, err := provider.Encode(gobCodec{}, &maintenance{ID: 1})
	require.NoError(t, err)
	assert.Equal(t, provider.TypeShape(reflect.TypeFor[*maintenance]()), encoded.Type, "type")
	assert.Equal(t, gobCodec{}, encoded.Codec, "codec")
	assert.NotEmpty(t, encoded.Data, "bytes")
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
		assert.Equal(t, want, provider.TypeName(typ), "TypeName(%v)", typ)
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
		require.NoError(t, err)
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
		assert.Equal(t, c.ok, err == nil, "a %T decodes into a %T: %v", c.stored, c.into, err)
		if err != nil {
			assert.ErrorIs(t, err, provider.ErrUndecodable, "a %T decodes into a %T", c.stored, c.into)
		}
	}
}

// The error of a wrong type names both types.
func TestDecodeNamesTypes(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), maintenance{})
	require.NoError(t, err)
	err = encoded.Decode(new(unrelated))
	assert.ErrorContains(t, err, "provider_test.maintenance", "it names both types")
	assert.ErrorContains(t, err, "provider_test.unrelated", "it names both types")
}

func TestDecodeBadBytes(t *testing.T) {
	name := provider.TypeName(reflect.TypeFor[maintenance]())
	for _, data := range []string{"", "{", "null null", "[]", `"text"`, `{"ID":"x"}`, "\x00\xff", strings.Repeat("[", 100_000)} {
		encoded := provider.Encoded{Data: []byte(data), Type: name, Codec: provider.JSON()}
		assert.ErrorIs(t, encoded.Decode(new(maintenance)), provider.ErrUndecodable, "%.20q", data)
	}
}

func TestDecodeIntoNoPointer(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), 1)
	require.NoError(t, err)
	assert.Error(t, encoded.Decode((*int)(nil)), "Decode into a nil pointer returned no error")
	// This is a mistake of the caller, and not the entry's fault.
	for _, into := range []any{nil, 1, maintenance{}, []int{1}, map[string]int{}} {
		err := encoded.Decode(into)
		assert.Error(t, err, "Decode(%#v) says that it is not a pointer", into)
		assert.NotErrorIs(t, err, provider.ErrUndecodable, "Decode(%#v) says that it is not a pointer", into)
		assert.ErrorContains(t, err, "not a pointer", "Decode(%#v) says that it is not a pointer", into)
	}
}

// An Encoded without a codec is an error and no panic.
func TestDecodeWithoutCodec(t *testing.T) {
	assert.ErrorIs(t, (provider.Encoded{Data: []byte("1"), Type: "int"}).Decode(new(int)), provider.ErrUndecodable)
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
		assert.ErrorIs(t, err, provider.ErrUnencodable, name)
		assert.ErrorContains(t, err, c.text, name)
		assert.Nil(t, encoded.Data, "%s: Encode returned something together with an error", name)
		assert.Empty(t, encoded.Type, "%s: Encode returned something together with an error", name)
		assert.Nil(t, encoded.Codec, "%s: Encode returned something together with an error", name)
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
		assert.ErrorIs(t, err, provider.ErrUndecodable, name)
		assert.ErrorContains(t, err, c.text, name)
	}
}

// The error of a codec stays in the chain.
func TestCodecErrorsUnwrap(t *testing.T) {
	cause := errors.New("cause")
	_, err := provider.Encode(badCodec{err: cause}, 1)
	assert.ErrorIs(t, err, cause, "Encode: the error of the codec")
	assert.ErrorIs(t, (provider.Encoded{Type: "int", Codec: badCodec{err: cause}}).Decode(new(int)), cause, "Decode: the error of the codec")
}

// Entries are shared: many readers decode one at the same time, and its bytes
// stay as they are.
func TestDecodeIsSafeConcurrently(t *testing.T) {
	encoded, err := provider.Encode(provider.JSON(), maintenance{ID: 7, Systems: []string{"a"}, Notes: map[string]string{"a": "b"}})
	require.NoError(t, err)
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
	assert.Equal(t, before, encoded.Data, "decoding changed the bytes")
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
			require.ErrorIs(t, err, provider.ErrUndecodable)
			return
		}
		again, ok := roundTrip(t, provider.JSON(), value).(maintenance)
		require.True(t, ok, "what came back")
		require.Equal(t, fmt.Sprintf("%+v", value.Systems), fmt.Sprintf("%+v", again.Systems), "what came back")
		require.Equal(t, value.ID, again.ID, "what came back")
		require.Equal(t, value.Title, again.Title, "what came back")
	})
}

// logged returns what the cache logs of the errors in err that hide something.
func logged(err error) (texts []string) {
	for ; err != nil; err = errors.Unwrap(err) {
		if hides, ok := err.(slog.LogValuer); ok {
			texts = append(texts, hides.LogValue().String())
		}
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			for _, inner := range all.Unwrap() {
				texts = append(texts, logged(inner)...)
			}
		}
	}
	return texts
}

// TestErrorsOfCodecsHideValues: what is logged of an error of a codec has no part of a value.
func TestErrorsOfCodecsHideValues(t *testing.T) {
	t.Parallel()
	type account struct{ Balance int }
	decode := func(data string) error {
		var into account
		return provider.Encoded{Data: []byte(data), Type: provider.TypeName(reflect.TypeFor[account]()), Codec: provider.JSON()}.Decode(&into)
	}
	encode := func(codec badCodec) error {
		_, err := provider.Encode(codec, 1)
		return err
	}
	var bug error
	func() {
		defer func() { bug, _ = recover().(error) }()
		none := make([]int, 0, 1)
		_ = none[len(none)]
	}()
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"a number that does not fit": {decode(`{"Balance":1234.5}`), "the JSON number at byte 17 does not fit into a int"},
		"no JSON":                    {decode(`{"Balance":secret}`), "no JSON from byte 12 on"},
		"an error of the user":       {encode(badCodec{err: fmt.Errorf("of %w", errors.New("secret"))}), "the codec returned a *errors.errorString"},
		"a panic of the user":        {encode(badCodec{panicWith: "secret"}), "a string"},
		"a bug of the user":          {encode(badCodec{panicWith: bug}), "runtime error: index out of range [0] with length 0"},
	} {
		assert.Equal(t, []string{tt.want}, logged(tt.err), name)
	}
	long := provider.Encoded{Type: strings.Repeat("x", 8<<20), Codec: provider.JSON()}.Decode(new(account))
	require.ErrorIs(t, long, provider.ErrUndecodable)
	assert.Less(t, len(long.Error()), 512, "bytes of an error about a long name")
	assert.Less(t, len(encode(badCodec{err: errors.New(strings.Repeat("x", 8<<20))}).Error()), 2<<10, "bytes of a long error")
	assert.ErrorContains(t, provider.Encoded{Type: "a\nb", Codec: provider.JSON()}.Decode(new(account)), `"a\nb"`)
}
