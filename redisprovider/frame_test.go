package redisprovider

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// goldenFrames are frames and their bytes. What is stored lives on when the
// program is replaced, so these bytes must never change; a change of the format
// needs a new version.
func goldenFrames() map[string]frame {
	return map[string]frame{
		// magic, version, kind, flags; load time; codec, type, payload
		"c172010100" + "00" + "046a736f6e" + "06737472696e67" + "03226122": {
			kind: kindValue, codec: "json", typeName: "string", payload: []byte(`"a"`),
		},
		"c172010101" + "8082feac0d" + "00" + "80897a" + "046a736f6e" + "036e696c" + "046e756c6c": {
			kind: kindValue, freshUntil: time.Unix(1_792_000_128, 0), loadTime: time.Millisecond,
			codec: "json", typeName: "nil", payload: []byte("null"),
		},
		"c172010201" + "8082feac0d" + "fff7eadc03" + "01": {
			kind: kindAbsent, freshUntil: time.Unix(1_792_000_128, 999_996_415), loadTime: -1,
		},
		"c172010200" + "00":                        {kind: kindAbsent},
		"c172010100" + "00" + "0178" + "00" + "00": {kind: kindValue, codec: "x", payload: []byte{}},
	}
}

func TestGoldenFrames(t *testing.T) {
	t.Parallel()
	for text, f := range goldenFrames() {
		want, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := encodeFrame(f); !bytes.Equal(got, want) {
			t.Errorf("%+v is written as\n\t%x, want\n\t%x", f, got, want)
		}
		got, err := decodeFrame(want)
		if err != nil || !sameFrame(got, f) {
			t.Errorf("%x is read as %+v, %v; want %+v", want, got, err, f)
		}
	}
}

func sameFrame(a, b frame) bool {
	if !a.freshUntil.Equal(b.freshUntil) || !bytes.Equal(a.payload, b.payload) {
		return false
	}
	a.freshUntil, b.freshUntil, a.payload, b.payload = time.Time{}, time.Time{}, nil, nil
	return reflect.DeepEqual(a, b)
}

func TestFramesRoundTrip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("type", 10_000)
	for _, f := range []frame{
		{kind: kindValue, codec: strings.Repeat("c", maxCodecName), typeName: long, payload: bytes.Repeat([]byte{0xC1}, 1<<20)},
		{kind: kindValue, codec: "\x00", typeName: "\xff", payload: encodeFrame(frame{kind: kindAbsent})},
		{kind: kindAbsent, loadTime: math.MaxInt64},
		{kind: kindAbsent, loadTime: math.MinInt64},
		{kind: kindAbsent, freshUntil: time.Unix(0, 0)},
		{kind: kindAbsent, freshUntil: time.Unix(math.MaxInt64, 999_999_999)},
		{kind: kindAbsent, freshUntil: time.Unix(math.MinInt64, 0)},
		{kind: kindAbsent, freshUntil: time.Time{}.Add(1)},
		{kind: kindAbsent, freshUntil: time.Time{}.Add(-1)},
	} {
		got, err := decodeFrame(encodeFrame(f))
		if err != nil || !sameFrame(got, f) {
			t.Errorf("%.200v became %.200v, %v", f, got, err)
		}
	}
}

// TestGoldenLeases has the frames of leases, and those that are bound to a server.
func TestGoldenLeases(t *testing.T) {
	t.Parallel()
	run := strings.Repeat("a", runBytes)
	for text, f := range map[string]frame{
		"c172010300" + "746f6b656e":                        {kind: kindLease, payload: []byte("token")},
		"c172010302" + strings.Repeat("61", 16) + "746f6b": {kind: kindLease, payload: []byte("tok"), run: run},
		"c172010202" + strings.Repeat("61", 16) + "00":     {kind: kindAbsent, run: run},
		"c172010203" + strings.Repeat("61", 16) + "0000" + "00": {
			kind: kindAbsent, run: run, freshUntil: time.Unix(0, 0),
		},
	} {
		want, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := encodeFrame(f); !bytes.Equal(got, want) {
			t.Errorf("%+v is written as\n\t%x, want\n\t%x", f, got, want)
		}
		if got, err := decodeFrame(want); err != nil || !sameFrame(got, f) {
			t.Errorf("%x is read as %+v, %v; want %+v", want, got, err, f)
		}
	}
	if got := leaseFrame("token"); hex.EncodeToString(got) != "c172010300746f6b656e" || bind(got)[4] != flagBound {
		t.Errorf("a lease is %x", got)
	}
	if token := newToken(); len(token) != 32 || token == newToken() {
		t.Errorf("the token %q", token)
	}
}

// TestDamagedFrames damages frames in every way that leaves something else.
func TestDamagedFrames(t *testing.T) {
	t.Parallel()
	for _, f := range goldenFrames() {
		whole := encodeFrame(f)
		for n := range whole {
			if got, err := decodeFrame(whole[:n]); err == nil {
				t.Errorf("the first %d bytes of %x are read as %+v", n, whole, got)
			}
		}
		if got, err := decodeFrame(append(bytes.Clone(whole), 0)); err == nil {
			t.Errorf("%x and a byte more is read as %+v", whole, got)
		}
	}
}

func TestForeignFrames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                     {"", "not a frame"},
		"JSON":                        {hex.EncodeToString([]byte(`{"a":1}`)), "not a frame"},
		"other magic":                 {"c173010200" + "00", "not a frame"},
		"no version":                  {"c172000200" + "00", "unknown version 0"},
		"next version":                {"c172020200" + "00", "unknown version 2"},
		"kind zero":                   {"c172010000" + "00", "unknown kind 0"},
		"a kind to come":              {"c172010400" + "00", "unknown kind 4"},
		"unknown flag":                {"c172010204" + "00", "damaged"},
		"bound to nothing":            {"c172010202" + "00", "damaged"},
		"lease with a fresh-until":    {"c172010301" + "00" + "00", "damaged"},
		"lease bound to nothing":      {"c172010302" + "00", "damaged"},
		"long form of a number":       {"c172010200" + "8000", "damaged"},
		"number beyond 64 bits":       {"c172010200" + "ffffffffffffffffff7f", "damaged"},
		"a second of nanoseconds":     {"c172010201" + "00" + "8094ebdc03" + "00", "damaged"},
		"zero time with a flag":       {"c172010201" + hex.EncodeToString(encodeFrame(frame{kind: kindAbsent, freshUntil: time.Time{}.Add(1)})[5:11]) + "00" + "00", "damaged"},
		"no codec":                    {"c172010100" + "00" + "00" + "00" + "00", "damaged"},
		"codec of 33 bytes":           {"c172010100" + "00" + "21" + strings.Repeat("61", 33) + "00" + "00", "damaged"},
		"payload longer than what is": {"c172010100" + "00" + "0178" + "00" + "ffffffffffffffffff01", "damaged"},
		"payload of an absence":       {"c172010200" + "00" + "0178" + "00" + "00", "damaged"},
	} {
		data, err := hex.DecodeString(c.text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f, err := decodeFrame(data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %x is read as %+v, %v; want an error with %q", name, data, f, err, c.want)
		}
	}
}

// FuzzDecodeFrame checks that nothing panics and that every frame has one form.
func FuzzDecodeFrame(f *testing.F) {
	for text := range goldenFrames() {
		data, _ := hex.DecodeString(text)
		f.Add(data)
	}
	f.Add([]byte{frameMagic0, frameMagic1, frameVersion, byte(kindValue), flagFresh, 0x80, 0x80, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		decoded, err := decodeFrame(data)
		if !bytes.Equal(before, data) {
			t.Fatal("decoding changed the bytes")
		}
		if err != nil {
			if !reflect.DeepEqual(decoded, frame{}) {
				t.Fatalf("%+v with the error %v", decoded, err)
			}
			return
		}
		if again := encodeFrame(decoded); !bytes.Equal(again, data) {
			t.Fatalf("%x is read as %+v, which is written as %x", data, decoded, again)
		}
	})
}

// FuzzFrameRoundTrip checks that what is written is read.
func FuzzFrameRoundTrip(f *testing.F) {
	f.Add(true, int64(1), int64(2), int64(3), "json", "string", []byte("{}"))
	f.Add(false, int64(-62135596800), int64(0), int64(-3), "c", "", []byte(nil))
	f.Fuzz(func(t *testing.T, value bool, seconds, nanoseconds, load int64, codec, typeName string, payload []byte) {
		want := frame{kind: kindAbsent, freshUntil: time.Unix(seconds, nanoseconds), loadTime: time.Duration(load)}
		if value {
			if codec == "" || len(codec) > maxCodecName {
				return
			}
			want.kind, want.codec, want.typeName, want.payload = kindValue, codec, typeName, payload
		}
		got, err := decodeFrame(encodeFrame(want))
		if err != nil || !sameFrame(got, want) {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}
