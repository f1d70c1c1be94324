package provider_test

import (
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

type account struct {
	Name string
	Hash string `json:"-"`
}

type price struct{ amount int }

type nested struct {
	Accounts map[string][]*account
}

type sparse struct {
	Items []string `json:"items,omitempty"`
}

type stamped struct {
	time.Time

	Name string
}

type base struct{ ID int }

type derived struct {
	*base

	Name string
}

type flat struct {
	base

	Name string
}

type root struct{ ID int }

type twice struct {
	base
	root
}

type shape interface{ Area() int }

type square struct{ Side int }

func (s square) Area() int { return s.Side * s.Side }

type drawing struct{ Shape shape }

type free struct{ Value any }

type event struct {
	At, Seen time.Time
	Until    *time.Time
	Raw      json.RawMessage
	Addr     netip.Addr
	Sum      *big.Int
}

// masked encodes itself without its secret.
type masked struct{ Secret string }

func (masked) MarshalJSON() ([]byte, error) { return []byte(`{"Secret":"***"}`), nil }

// loose has an Equal of its own, to which case does not matter.
type loose string

func (l loose) Equal(other loose) bool { return strings.EqualFold(string(l), string(other)) }

func (l loose) MarshalText() ([]byte, error) { return []byte(strings.ToLower(string(l))), nil }

func (l *loose) UnmarshalText(text []byte) error { *l = loose(text); return nil }

type list struct {
	Value int
	Next  *list
}

// TestLoss: a value that JSON does not return as it was is found, and the error says where and why; any
// other value passes.
func TestLoss(t *testing.T) {
	zone := time.FixedZone("", 3600+28)
	now := time.Now()
	zero := new(big.Int).Sub(big.NewInt(5), big.NewInt(5))
	for name, test := range map[string]struct {
		value any
		path  string // "": it comes back
		why   string
	}{
		"not in JSON":                {account{"ada", "$2a$"}, "provider_test.account.Hash", `has the tag json:"-"`},
		"not in JSON, empty":         {account{"ada", ""}, "", ""},
		"deep":                       {nested{map[string][]*account{"k": {{"ada", ""}, {"bob", "x"}}}}, "provider_test.nested.Accounts[…][1].Hash", `json:"-"`},
		"pointer":                    {&account{"ada", "x"}, "*provider_test.account.Hash", `json:"-"`},
		"unexported":                 {price{42}, "provider_test.price.amount", "unexported"},
		"unexported, zero":           {price{}, "", ""},
		"omitempty, empty":           {sparse{[]string{}}, "provider_test.sparse.Items", "omitempty"},
		"omitempty, nil":             {sparse{}, "", ""},
		"omitempty":                  {sparse{[]string{"a"}}, "", ""},
		"nil slice":                  {[]string(nil), "", ""},
		"empty slice":                {[]string{}, "", ""},
		"nil map":                    {map[string]int(nil), "", ""},
		"empty map":                  {map[string]int{}, "", ""},
		"nil bytes":                  {[]byte(nil), "", ""},
		"empty bytes":                {[]byte{}, "", ""},
		"bytes":                      {[]byte{0, 255}, "", ""},
		"UTF-8":                      {"größer < & > \u2028", "", ""},
		"no UTF-8":                   {"\xff", "string", "not valid UTF-8"},
		"no UTF-8 in a field":        {account{Name: "a\xffb"}, "provider_test.account.Name", "not valid UTF-8"},
		"no UTF-8 in a slice":        {[]string{"a", "\xc3"}, "[]string[1]", "not valid UTF-8"},
		"no UTF-8 in a key":          {map[string]int{"\xff": 1}, "map[string]int", "another key"},
		"replacement character":      {"\ufffd", "", ""},
		"text of one":                {`\ufffd`, "", ""},
		"hidden by an embedded type": {stamped{now, "ada"}, "provider_test.stamped.Name", "embedded time.Time"},
		"embedded":                   {flat{base{7}, "ada"}, "", ""},
		"embedded pointer":           {derived{&base{7}, "ada"}, "provider_test.derived", "would not come back"},
		"embedded nil":               {derived{nil, "ada"}, "", ""},
		"one name for two":           {twice{base{1}, root{2}}, "provider_test.twice.base.ID", "another value"},
		"interface":                  {drawing{square{3}}, "provider_test.drawing", "would not come back"},
		"any, struct":                {free{square{3}}, "provider_test.free.Value", "holds a provider_test.square, which would come back as a map[string]interface {}"},
		"any, int":                   {map[string]any{"n": 1}, "map[string]interface {}[…]", "holds a int, which would come back as a float64"},
		"any, large":                 {free{float64(1 << 60)}, "", ""},
		"any, text":                  {map[string]any{"a": "b", "c": []any{true, nil, 1.5}}, "", ""},
		"any, bytes":                 {free{[]byte("x")}, "provider_test.free.Value", "[]uint8"},
		"times":                      {event{At: now, Seen: now.In(zoneOf(t)), Until: &now}, "provider_test.event.Raw", "nil"},
		"times and more":             {event{At: now, Raw: json.RawMessage("{}"), Addr: netip.MustParseAddr("::1"), Sum: zero}, "", ""},
		"odd time":                   {[]time.Time{now, now.In(zone)}, "[]time.Time[1]", "another value"},
		"odd time in a map":          {map[string]time.Time{"k": now.In(zone)}, "map[string]time.Time[…]", "another value"},
		"odd time in a pointer":      {new(now.In(zone)), "*time.Time", "another value"},
		"own encoding":               {masked{"x"}, "provider_test.masked.Secret", "methods of provider_test.masked"},
		"own Equal":                  {struct{ L loose }{"ABC"}, "", ""},
		"pointer to nil":             {new(*int), "**int", "nil"},
		"pointer to a nil slice":     {new([]int), "*[]int", "nil"},
		"number":                     {json.Number(""), "json.Number", "another string"},
		"numbers":                    {[]float64{0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}, "", ""},
		"float32":                    {float32(0.1), "", ""},
		"uint64":                     {uint64(math.MaxUint64), "", ""},
		"array":                      {[2]int{1, 2}, "", ""},
		"map of ints":                {map[int64]string{math.MinInt64: "a"}, "", ""},
		"recursive":                  {list{1, &list{2, nil}}, "", ""},
		"nil pointer":                {(*account)(nil), "", ""},
		"nil":                        {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := provider.NewChecker(provider.JSON())
			for range 2 { // the type is known then
				encoded, err := c.Encode(test.value)
				require.NotErrorIs(t, err, provider.ErrUnencodable)
				assert.NotEmpty(t, encoded.Data, "what a store keeps that wants to")
				if test.path == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, provider.ErrLossy)
				require.NotErrorIs(t, err, provider.ErrUndecodable)
				var loss *provider.LossError
				require.ErrorAs(t, err, &loss)
				assert.Equal(t, test.path, loss.Path)
				assert.Contains(t, loss.Reason, test.why)
				assert.NotContains(t, err.Error(), "$2a$", "the value")
			}
		})
	}
}

func zoneOf(t *testing.T) *time.Location {
	t.Helper()
	return time.FixedZone("test", -5*3600-30*60)
}

// TestRefusedEncoding: an error of the codec is no loss.
func TestRefusedEncoding(t *testing.T) {
	_, err := provider.NewChecker(provider.JSON()).Encode(make(chan int))
	assert.ErrorIs(t, err, provider.ErrUnencodable)
	assert.NotErrorIs(t, err, provider.ErrLossy)
	encoded, err := provider.Encode(provider.JSON(), price{1})
	require.NoError(t, err)
	again, err := provider.NewChecker(provider.JSON()).Encode(encoded)
	assert.NoError(t, err, "what is encoded already")
	assert.Equal(t, encoded, again)
}

// comparingCodec compares values by itself.
type comparingCodec struct{ gobCodec }

func (comparingCodec) Equal(a, b any) bool { return true }

// message is what generated code for protocol buffers looks like.
type message struct {
	Name string
	size int
}

func (*message) ProtoReflect() {}

type cyclic struct{ Self *cyclic }

// TestLossOfOtherCodecs: every value is compared.
func TestLossOfOtherCodecs(t *testing.T) {
	c := provider.NewChecker(gobCodec{})
	for name, value := range map[string]any{
		"text": "\xff", "tag": account{"ada", "x"}, "NaN": math.NaN(), "times": time.Now().In(zoneOf(t)),
		"message": &message{"ada", 5},
	} {
		_, err := c.Encode(value)
		assert.NoError(t, err, name)
	}
	var loss *provider.LossError
	_, err := c.Encode(struct{ Sum, sum int }{1, 2})
	require.ErrorAs(t, err, &loss)
	assert.Equal(t, "struct { Sum int; sum int }.sum", loss.Path)
	assert.Contains(t, loss.Reason, "unexported")
	_, err = c.Encode([]int{})
	require.ErrorAs(t, err, &loss, "gob makes nil of it")
	_, err = provider.NewChecker(comparingCodec{}).Encode([]int{})
	require.NoError(t, err, "the codec has compared them")
}

// reversing is a codec that changes the bytes of another one.
type reversing struct {
	provider.Codec

	fails bool
}

func (reversing) Name() string { return "reversed" }

func (r reversing) Inner(any) provider.Codec { return r.Codec }

func (r reversing) Wrap(data []byte) ([]byte, error) {
	if r.fails {
		return nil, provider.ErrTooLarge
	}
	data = slices.Clone(data)
	slices.Reverse(data)
	return data, nil
}

func (r reversing) Marshal(v any) ([]byte, error) {
	data, err := r.Codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	return r.Wrap(data)
}

func (r reversing) Unmarshal(data []byte, v any) error {
	data, err := r.Wrap(data)
	if err != nil {
		return err
	}
	return r.Codec.Unmarshal(data, v)
}

// TestLossOfWrappers: the codec inside says what is lost, and the bytes are those of the wrapper.
func TestLossOfWrappers(t *testing.T) {
	c := provider.NewChecker(reversing{Codec: reversing{Codec: provider.JSON()}})
	encoded, err := c.Encode(account{Name: "ada"})
	require.NoError(t, err)
	assert.Equal(t, "reversed", encoded.Codec.Name())
	again, err := c.Encode(encoded)
	require.NoError(t, err)
	assert.Equal(t, encoded.Data, again.Data, "what is encoded already")
	var back account
	require.NoError(t, encoded.Decode(&back))
	assert.Equal(t, account{Name: "ada"}, back)
	lossy, err := c.Encode(account{"ada", "secret"})
	require.ErrorIs(t, err, provider.ErrLossy)
	require.ErrorContains(t, err, `has the tag json:"-"`, "the codec inside is JSON")
	assert.Equal(t, encoded.Data, lossy.Data, "a store may keep it all the same")
	_, err = c.Encode(func() {})
	require.ErrorIs(t, err, provider.ErrUnencodable)
	_, err = provider.NewChecker(reversing{Codec: comparingCodec{}}).Encode([]int{})
	require.NoError(t, err, "the codec inside has compared them")
	_, err = provider.NewChecker(reversing{Codec: provider.JSON(), fails: true}).Encode(1)
	require.ErrorIs(t, err, provider.ErrUnencodable)
	require.ErrorIs(t, err, provider.ErrTooLarge)
	_, err = provider.NewChecker(reversing{}).Encode(1)
	assert.ErrorIs(t, err, provider.ErrUnencodable, "a wrapper of nothing panics")
}

// copyingCodec returns the very value.
type copyingCodec struct{ badCodec }

func (c copyingCodec) Marshal(any) ([]byte, error) { return []byte("x"), nil }

func (c copyingCodec) Unmarshal(_ []byte, v any) error {
	p, ok := v.(*cyclic)
	if !ok {
		return provider.ErrUndecodable
	}
	*p = cyclic{&cyclic{}}
	p.Self.Self = p.Self
	return nil
}

func TestLossOfCycles(t *testing.T) {
	value := cyclic{&cyclic{}}
	value.Self.Self = value.Self
	_, err := provider.NewChecker(copyingCodec{}).Encode(value)
	assert.NoError(t, err)
}

// panickyEqual cannot be compared.
type panickyEqual struct{ A []int }

func (panickyEqual) Equal(panickyEqual) bool { panic("oh") }

func TestLossOfWhatCannotBeCompared(t *testing.T) {
	_, err := provider.NewChecker(gobCodec{}).Encode(panickyEqual{[]int{1}})
	assert.ErrorIs(t, err, provider.ErrLossy)
	assert.ErrorContains(t, err, "oh")
	assert.NotErrorIs(t, err, provider.ErrUnencodable)
}
