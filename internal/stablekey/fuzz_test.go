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
			if (x == y) != (a == b) {
				t.Errorf("pair %d of %q and %q: %s and %s", i, a, b, x, y)
			}
			if !json.Valid([]byte(x)) {
				t.Errorf("not JSON: %s", x)
			}
		}
		if !utf8.ValidString(a) {
			return
		}
		var back string
		if err := json.Unmarshal([]byte(encode(t, a)), &back); err != nil || back != a {
			t.Errorf("%q reads back as %q, %v", a, back, err)
		}
		// The form that escapes most is the same string.
		escaped, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if x, y := encode(t, json.RawMessage(escaped)), encode(t, a); x != y {
			t.Errorf("%s and %s", x, y)
		}
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
			if equal := x1.Cmp(x2) == 0; equal != (encode(t, json.Number(a)) == encode(t, json.Number(b))) {
				t.Errorf("%s and %s are equal: %t, but: %s, %s", a, b, equal, encode(t, json.Number(a)), encode(t, json.Number(b)))
			}
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
		if err == nil || !strings.Contains(err.Error(), "too large") {
			t.Fatalf("json.Number(%q): valid %t, but %s, %v", text, valid, key, err)
		}
	}
	if err != nil || text == "" {
		return nil, false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 5 {
		return nil, false // too expensive to compare
	}
	exact, ok1 := new(big.Rat).SetString(text)
	back, ok2 := new(big.Rat).SetString(key)
	if !ok1 || !ok2 || exact.Cmp(back) != 0 {
		t.Fatalf("%s became %s", text, key)
	}
	return exact, true
}

// checkFloat: floats read back exactly, and are written as encoding/json does.
func checkFloat(t *testing.T, x float64) {
	t.Helper()
	key, err := stablekey.Encode(x)
	if bad := math.IsNaN(x) || math.IsInf(x, 0); bad != (err != nil) {
		t.Fatalf("%v: %s, %v", x, key, err)
	}
	if err != nil {
		return
	}
	var back float64
	if err := json.Unmarshal([]byte(key), &back); err != nil || back != x {
		t.Fatalf("%v reads back from %s as %v, %v", x, key, back, err)
	}
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	if same := encode(t, json.RawMessage(text)); same != key {
		t.Fatalf("%v is %s, but as JSON %s", x, key, same)
	}
	if y := float32(x); !math.IsInf(float64(y), 0) {
		text, err := json.Marshal(y)
		if err != nil {
			t.Fatal(err)
		}
		if same := encode(t, json.RawMessage(text)); same != encode(t, y) {
			t.Fatalf("float32 %v is %s, but as JSON %s", y, encode(t, y), same)
		}
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
			if json.Valid(data) && !strings.Contains(err.Error(), " twice") && !strings.Contains(err.Error(), "too large") && !strings.Contains(err.Error(), "deeper") {
				t.Errorf("refused: %v", err)
			}
			return
		}
		if !json.Valid(data) || !json.Valid([]byte(key)) {
			t.Fatalf("%q became %q", data, key)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, data, " ", "\t"); err != nil {
			t.Fatal(err)
		}
		if again := encode(t, json.RawMessage(indented.Bytes())); again != key {
			t.Errorf("space matters: %s, %s", key, again)
		}
		if strings.Contains(key, `\udc`) {
			return // what is not text does not survive encoding/json
		}
		if again := encode(t, json.RawMessage(key)); again != key {
			t.Errorf("not canonical: %s, %s", key, again)
		}
		// The same as Go values.
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if value := encode(t, v); value != key {
			t.Errorf("as Go values %s, as JSON %s", value, key)
		}
	})
}
