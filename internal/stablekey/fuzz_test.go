package stablekey_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/stablekey"
)

// FuzzTrees builds two values from the fuzzer's bytes: a tree and a change of it.
func FuzzTrees(f *testing.F) {
	f.Add([]byte{5, 4, 1, 0, 2, 1, 1, 3, 2, 4, 5}, uint64(1))
	f.Add([]byte{4, 3, 3, 1, 7, 3, 1, 8, 2, 9, 0, 1, 3, 1, 11}, uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		c := &byteChoices{data}
		a := genNode(c, 4)
		checkPair(t, a, a.change(c), rand.New(rand.NewPCG(seed, 0)))
		checkPair(t, a, genNode(c, 4), rand.New(rand.NewPCG(seed, 1)))
	})
}

// FuzzStrings: equal keys exactly for equal strings, in every place where a
// string can stand, and valid text reads back.
func FuzzStrings(f *testing.F) {
	f.Add("\xff", "\ufffd")
	f.Add("\xff", `\udcff`)
	f.Add("a\",\"b", "a")
	f.Add("\xed\xb3\xbf", "\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		pairs := [][2]any{
			{a, b},
			{[]byte(a), []byte(b)},
			{[]string{a, b}, []string{b, a}},
			{map[string]int{a: 1}, map[string]int{b: 1}},
			{struct{ S, T string }{a, b}, struct{ S, T string }{b, a}},
			{Quoted{S: a}, Quoted{S: b}},
			{map[TextKey]string{{a, ""}: b}, map[TextKey]string{{b, ""}: a}},
		}
		for i, pair := range pairs {
			x, y := encode(t, pair[0]), encode(t, pair[1])
			assert.Equal(t, a == b, x == y, "pair %d of %q and %q: %s and %s", i, a, b, x, y)
			assert.True(t, json.Valid([]byte(x)), "not JSON: %s", x)
		}
		if !utf8.ValidString(a) {
			return
		}
		var back string
		assert.NoError(t, json.Unmarshal([]byte(encode(t, a)), &back), "%q reads back", a)
		assert.Equal(t, a, back, "%q reads back", a)
		// The form that escapes most is the same string.
		escaped, err := json.Marshal(a)
		require.NoError(t, err)
		x, y := encode(t, json.RawMessage(escaped)), encode(t, a)
		assert.Equal(t, y, x)
	})
}

// FuzzNumbers: equal keys exactly for numbers of equal value.
func FuzzNumbers(f *testing.F) {
	f.Add("1.0", "10e-1", 0.1)
	f.Add("-0", "0.000e5", math.Inf(1))
	f.Add("123456789012345678901234567890", "1.2345678901234567890123456789e29", 1e21)
	f.Add("0.000001", "1e-7", 1e-6)
	f.Fuzz(func(t *testing.T, a, b string, x float64) {
		x1, ok1 := checkNumber(t, a)
		x2, ok2 := checkNumber(t, b)
		if ok1 && ok2 {
			x, y := encode(t, json.Number(a)), encode(t, json.Number(b))
			assert.Equal(t, x1.Cmp(x2) == 0, x == y, "%s and %s: %s and %s", a, b, x, y)
		}
		checkFloat(t, x)
	})
}

// checkNumber encodes text as a json.Number and returns its value.
func checkNumber(t *testing.T, text string) (*big.Rat, bool) {
	t.Helper()
	key, err := stablekey.Encode(json.Number(text))
	valid := text == strings.TrimSpace(text) && json.Valid([]byte(text)) && strings.ContainsAny(text[:1], "-0123456789")
	if text != "" && valid != (err == nil) {
		require.ErrorContains(t, err, "too large", "json.Number(%q): valid %t, but %s", text, valid, key)
	}
	if err != nil || text == "" {
		return nil, false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 5 {
		return nil, false // too expensive to compare
	}
	exact, ok1 := new(big.Rat).SetString(text)
	back, ok2 := new(big.Rat).SetString(key)
	require.True(t, ok1, "%s became %s", text, key)
	require.True(t, ok2, "%s became %s", text, key)
	require.Zero(t, exact.Cmp(back), "%s became %s", text, key)
	return exact, true
}

// checkFloat: floats read back exactly, and are written as encoding/json does.
func checkFloat(t *testing.T, x float64) {
	t.Helper()
	key, err := stablekey.Encode(x)
	require.Equal(t, math.IsNaN(x) || math.IsInf(x, 0), err != nil, "%v: %s, %v", x, key, err)
	if err != nil {
		return
	}
	var back float64
	require.NoError(t, json.Unmarshal([]byte(key), &back), "what reads back from %s", key)
	require.InDelta(t, x, back, 0, "what reads back from %s", key)
	text, err := json.Marshal(x)
	require.NoError(t, err)
	require.Equal(t, key, encode(t, json.RawMessage(text)), "%v as JSON", x)
	if y := float32(x); !math.IsInf(float64(y), 0) {
		text, err := json.Marshal(y)
		require.NoError(t, err)
		require.Equal(t, encode(t, y), encode(t, json.RawMessage(text)), "float32 %v as JSON", y)
	}
}

// FuzzJSON feeds the output of a marshaler.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(` {"b":[1.0,{}],"a":"\ud83d\ude00\/"} `))
	f.Add([]byte(`["\ud800",{"":null,"\u0000":true},-0.0e-7]`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte("\"\xed\xa0\x80\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := stablekey.Encode(json.RawMessage(data))
		if err != nil {
			if json.Valid(data) && !strings.Contains(err.Error(), " twice") && !strings.Contains(err.Error(), "too large") {
				assert.ErrorContains(t, err, "deeper", "refused")
			}
			return
		}
		require.True(t, json.Valid(data), "%q became %q", data, key)
		require.True(t, json.Valid([]byte(key)), "%q became %q", data, key)
		var indented bytes.Buffer
		require.NoError(t, json.Indent(&indented, data, " ", "\t"))
		assert.Equal(t, key, encode(t, json.RawMessage(indented.Bytes())), "space matters")
		if strings.Contains(key, `\udc`) {
			return // what is not text does not survive encoding/json
		}
		assert.Equal(t, key, encode(t, json.RawMessage(key)), "not canonical")
		// The same as Go values.
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var v any
		require.NoError(t, decoder.Decode(&v))
		assert.Equal(t, key, encode(t, v), "as Go values and as JSON")
	})
}
