package redisprovider

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Parts of golden frames, as hexadecimal digits.
const (
	noTime  = "fffffff1886e0900" + "00000000" // year 1
	someday = "000000006acfc080" + "00000000" // 1,792,000,128 seconds after 1970
	noTook  = "0000000000000000"
	empty   = "00000000" // the length of what is empty
)

// goldenFrames are frames and their bytes. What is stored lives on when the
// program is replaced, so these bytes must never change; a change of the format
// needs a new version.
func goldenFrames() map[string]frame {
	run, token := strings.Repeat("a", runBytes), strings.Repeat("t", tokenBytes)
	return map[string]frame{
		// magic, version, kind, flags; fresh until, loaded at, load time, validator;
		// lengths of codec, type, payload; codec, type, payload
		"c172020100" + noTime + noTime + noTook + empty + "04" + "00000006" + "00000003" + "6a736f6e" + "737472696e67" + "226122": {
			kind: kindValue, codec: "json", typeName: "string", payload: []byte(`"a"`),
		},
		"c172020100" + someday + "000000006acfc07f" + "3b9ac9ff" + "00000000000f4240" + "00000003" + "220022" + "04" + "00000003" + "00000004" + "6a736f6e" + "6e696c" + "6e756c6c": {
			kind: kindValue, freshUntil: time.Unix(1_792_000_128, 0), loadedAt: time.Unix(1_792_000_127, 999_999_999), loadTime: time.Millisecond,
			validator: "\"\x00\"", codec: "json", typeName: "nil", payload: []byte("null"),
		},
		"c172020200" + someday[:16] + "3b9abc00" + noTime + "ffffffffffffffff" + empty: {
			kind: kindAbsent, freshUntil: time.Unix(1_792_000_128, 999_996_416), loadTime: -1,
		},
		"c172020200" + noTime + "0000000000000000" + "00000000" + noTook + "00000001" + "ff": {kind: kindAbsent, loadedAt: time.Unix(0, 0), validator: "\xff"},
		"c172020100" + noTime + noTime + noTook + empty + "01" + empty + empty + "78":        {kind: kindValue, codec: "x", payload: []byte{}},

		// with a lease; bound; both
		"c172020202" + strings.Repeat("74", 32) + strings.Repeat("30", 15) + "39" + noTime + noTime + noTook + empty: {
			kind: kindAbsent, lease: token + "0000000000000009",
		},
		"c172020201" + strings.Repeat("61", 16) + noTime + noTime + noTook + empty: {kind: kindAbsent, run: run},
		"c172020203" + strings.Repeat("61", 16) + strings.Repeat("74", 32) + strings.Repeat("39", 16) + noTime + noTime + noTook + empty: {
			kind: kindAbsent, run: run, lease: token + strings.Repeat("9", 16),
		},

		// leases
		"c172020300" + strings.Repeat("74", 32):                            {kind: kindLease, payload: []byte(token)},
		"c172020301" + strings.Repeat("61", 16) + strings.Repeat("74", 32): {kind: kindLease, payload: []byte(token), run: run},
	}
}

func TestGoldenFrames(t *testing.T) {
	t.Parallel()
	for text, f := range goldenFrames() {
		want, err := hex.DecodeString(text)
		require.NoError(t, err)
		assert.Equal(t, want, encodeFrame(f), "how %+v is written", f)
		got, err := decodeFrame(want)
		assert.NoError(t, err, "%x is read as %+v; want %+v", want, got, f)
		assert.True(t, sameFrame(got, f), "%x is read as %+v; want %+v", want, got, f)
	}
}

func sameFrame(a, b frame) bool {
	if !a.freshUntil.Equal(b.freshUntil) || !a.loadedAt.Equal(b.loadedAt) || !bytes.Equal(a.payload, b.payload) {
		return false
	}
	a.freshUntil, b.freshUntil, a.payload, b.payload = time.Time{}, time.Time{}, nil, nil
	a.loadedAt, b.loadedAt = time.Time{}, time.Time{}
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
		{kind: kindAbsent, freshUntil: time.Now().Add(math.MaxInt64)},
		{kind: kindAbsent, freshUntil: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
		{kind: kindAbsent, loadedAt: time.Now(), validator: long},
		{kind: kindAbsent, loadedAt: time.Time{}.Add(-1), validator: "\x00"},
		{kind: kindValue, lease: strings.Repeat("\xff", tokenBytes) + "1234567890123456", codec: "c", payload: []byte("p"), validator: string(encodeFrame(frame{kind: kindAbsent}))},
	} {
		got, err := decodeFrame(encodeFrame(f))
		assert.NoError(t, err, "%.200v became %.200v", f, got)
		assert.True(t, sameFrame(got, f), "%.200v became %.200v", f, got)
	}
}

// TestLeaseFrames checks what a lease is made of.
func TestLeaseFrames(t *testing.T) {
	t.Parallel()
	token := newToken()
	got := leaseFrame(token)
	assert.Equal(t, "\xc1r\x02\x03\x00"+token, string(got), "a lease is %x", got)
	assert.Equal(t, byte(flagBound), bind(got)[4], "a lease is %x", got)
	assert.Len(t, token, tokenBytes, "the token")
	assert.NotEqual(t, newToken(), token, "the token")
}

// TestDamagedFrames damages frames in every way that leaves something else.
func TestDamagedFrames(t *testing.T) {
	t.Parallel()
	for _, f := range goldenFrames() {
		whole := encodeFrame(f)
		for n := range whole {
			got, err := decodeFrame(whole[:n])
			assert.Error(t, err, "the first %d bytes of %x are read as %+v", n, whole, got)
		}
		got, err := decodeFrame(append(bytes.Clone(whole), 0))
		assert.Error(t, err, "%x and a byte more is read as %+v", whole, got)
	}
}

func TestForeignFrames(t *testing.T) {
	t.Parallel()
	const plain = noTime + noTime + noTook
	token := strings.Repeat("74", tokenBytes)
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                       {"", "not a frame"},
		"JSON":                          {hex.EncodeToString([]byte(`{"a":1}`)), "not a frame"},
		"other magic":                   {"c173020200" + plain + empty, "not a frame"},
		"no version":                    {"c172000200" + plain + empty, "unknown version 0"},
		"first version":                 {"c172010200" + "00", "unknown version 1"},
		"next version":                  {"c172030200" + plain + empty, "unknown version 3"},
		"kind zero":                     {"c172020000" + plain + empty, "unknown kind 0"},
		"a kind to come":                {"c172020400" + plain + empty, "unknown kind 4"},
		"unknown flag":                  {"c172020204" + plain + empty, "damaged"},
		"bound to nothing":              {"c172020201" + "00", "damaged"},
		"a second of nanoseconds":       {"c172020200" + someday[:16] + "3b9aca00" + noTime + noTook + empty, "damaged"},
		"another in loaded at":          {"c172020200" + noTime + someday[:16] + "ffffffff" + noTook + empty, "damaged"},
		"longer validator than is":      {"c172020200" + plain + "00000002" + "61", "damaged"},
		"longest validator":             {"c172020200" + plain + "ffffffff" + "61", "damaged"},
		"no codec":                      {"c172020100" + plain + empty + "00" + empty + empty, "damaged"},
		"codec of 33 bytes":             {"c172020100" + plain + empty + "21" + empty + empty + strings.Repeat("61", 33), "damaged"},
		"payload longer than what is":   {"c172020100" + plain + empty + "01" + empty + "ffffffff" + "78" + "00", "damaged"},
		"type longer than what is":      {"c172020100" + plain + empty + "01" + "ffffffff" + empty + "78" + "00", "damaged"},
		"payload of an absence":         {"c172020200" + plain + empty + "01" + empty + empty + "78", "damaged"},
		"leased without a lease":        {"c172020202" + plain + empty, "damaged"},
		"leased with an end of letters": {"c172020202" + token + strings.Repeat("3a", endBytes) + plain + empty, "damaged"},
		"leased with an end of signs":   {"c172020202" + token + strings.Repeat("2f", endBytes) + plain + empty, "damaged"},
		"lease that is leased":          {"c172020302" + token, "damaged"},
		"lease of a short token":        {"c172020300" + token[2:], "damaged"},
		"lease of a long token":         {"c172020300" + token + "74", "damaged"},
		"lease bound to nothing":        {"c172020301" + token[2:], "damaged"},
	} {
		data, err := hex.DecodeString(c.text)
		require.NoError(t, err, name)
		f, err := decodeFrame(data)
		assert.ErrorContains(t, err, c.want, "%s: %x is read as %+v", name, data, f)
	}
}

// FuzzDecodeFrame checks that nothing panics and that every frame has one form.
func FuzzDecodeFrame(f *testing.F) {
	for text := range goldenFrames() {
		data, _ := hex.DecodeString(text)
		f.Add(data)
	}
	f.Add([]byte{frameMagic0, frameMagic1, frameVersion, byte(kindValue), flagLeased, 0x80, 0x80, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		decoded, err := decodeFrame(data)
		require.Equal(t, data, before, "decoding changed the bytes")
		if err != nil {
			require.Equal(t, frame{}, decoded, "with the error %v", err)
			return
		}
		require.Equal(t, data, encodeFrame(decoded), "what is read is written otherwise: %+v", decoded)
	})
}

// FuzzFrameRoundTrip checks that what is written is read.
func FuzzFrameRoundTrip(f *testing.F) {
	f.Add(true, true, int64(1), int64(2), int64(3), "etag", "json", "string", []byte("{}"))
	f.Add(false, false, int64(-62135596800), int64(0), int64(-3), "", "c", "", []byte(nil))
	f.Fuzz(func(t *testing.T, value, leased bool, seconds, nanoseconds, load int64, validator, codec, typeName string, payload []byte) {
		want := frame{
			kind: kindAbsent, freshUntil: time.Unix(seconds, nanoseconds), loadedAt: time.Unix(nanoseconds, seconds),
			loadTime: time.Duration(load), validator: validator,
		}
		if leased {
			want.lease = fmt.Sprintf("%x%016d", sha256.Sum256(payload), uint64(load)%1e16)[tokenBytes:]
		}
		if value {
			if codec == "" || len(codec) > maxCodecName {
				return
			}
			want.kind, want.codec, want.typeName, want.payload = kindValue, codec, typeName, payload
		}
		got, err := decodeFrame(encodeFrame(want))
		require.NoError(t, err, "%+v became %+v", want, got)
		require.True(t, sameFrame(got, want), "%+v became %+v", want, got)
	})
}
