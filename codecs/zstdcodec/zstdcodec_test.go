package zstdcodec_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/codecs/zstdcodec"
	"github.com/readthrough/readthrough/provider"
)

func newCodec(tb testing.TB, options zstdcodec.Options) provider.Codec {
	tb.Helper()
	codec, err := zstdcodec.New(provider.JSON(), options)
	require.NoError(tb, err)
	return codec
}

// TestAbove: what is small or does not become smaller is kept as it is, with one byte more.
func TestAbove(t *testing.T) {
	t.Parallel()
	codec := newCodec(t, zstdcodec.Options{Above: 100})
	noise := make([]byte, 3000)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(noise)
	for _, c := range []struct {
		name, text string
		most       int
	}{{"small", strings.Repeat("a", 97), 100}, {"large", strings.Repeat("a", 98), 60}, {"noise", string(noise), 8000}} {
		data, err := codec.Marshal([]byte(c.text))
		require.NoError(t, err)
		plain, err := provider.JSON().Marshal([]byte(c.text))
		require.NoError(t, err)
		var back []byte
		require.NoError(t, codec.Unmarshal(data, &back))
		assert.Equal(t, c.text, string(back), c.name)
		if len(plain) < 100 {
			assert.Equal(t, string(plain)+"\x00", string(data), c.name)
		} else {
			assert.LessOrEqual(t, len(data), min(c.most, len(plain)+1), c.name)
		}
	}
	text := strings.Repeat("a", 98)
	data, err := codec.Marshal(text)
	require.NoError(t, err)
	assert.Less(t, len(data), 40, "98 letters and two quotes")
	data, err = codec.Marshal(text[:97])
	require.NoError(t, err)
	assert.Len(t, data, 100)
}

// TestBomb: bytes that become too large are an error, and take no more memory than the bound.
func TestBomb(t *testing.T) {
	const most = 1 << 20
	codec := newCodec(t, zstdcodec.Options{MaxBytes: most})
	for name, write := range map[string]func() []byte{
		"one frame that says its size": func() []byte {
			e, err := zstd.NewWriter(nil)
			require.NoError(t, err)
			return e.EncodeAll(make([]byte, 256<<20), nil)
		},
		"a stream": func() []byte {
			var b bytes.Buffer
			e, err := zstd.NewWriter(&b)
			require.NoError(t, err)
			for range 256 {
				_, err := e.Write(make([]byte, 1<<20))
				require.NoError(t, err)
			}
			require.NoError(t, e.Close())
			return b.Bytes()
		},
		"many frames": func() []byte {
			e, err := zstd.NewWriter(nil)
			require.NoError(t, err)
			return bytes.Repeat(e.EncodeAll(make([]byte, most/2), nil), 500)
		},
		"a frame that lies": func() []byte {
			// A head with one segment and a size of 2^40 bytes, and nothing behind it.
			return []byte{0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 1, 0, 0}
		},
	} {
		data := append(write(), 1)
		require.Less(t, len(data), most, name)
		var before, after runtime.MemStats
		var into []byte
		require.Error(t, codec.Unmarshal(data, &into), name) // once, for what the codec keeps
		runtime.ReadMemStats(&before)
		err := codec.Unmarshal(data, &into)
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*most), "%s: bytes allocated for %d", name, len(data))
	}
}

// TestTooLarge: a value that no process would read is not stored.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	codec := newCodec(t, zstdcodec.Options{MaxBytes: 2000})
	_, err := provider.NewChecker(codec).Encode(strings.Repeat("a", 1998))
	require.NoError(t, err)
	_, err = provider.NewChecker(codec).Encode(strings.Repeat("a", 1999))
	require.ErrorIs(t, err, provider.ErrTooLarge)
	require.ErrorIs(t, err, provider.ErrUnencodable)
	assert.ErrorContains(t, err, "zstdcodec.Options.MaxBytes")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	_, err := zstdcodec.New(nil, zstdcodec.Options{Above: -1, Level: 23, MaxBytes: -1})
	require.Error(t, err)
	for _, want := range []string{"inner is nil", "Options.Above is -1", "Options.Level is 23", "Options.MaxBytes is -1"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = zstdcodec.New(provider.JSON(), zstdcodec.Options{MaxBytes: 1023})
	require.ErrorContains(t, err, "Options.MaxBytes is 1023")
	for level := range 23 {
		codec := newCodec(t, zstdcodec.Options{Level: level, MaxBytes: 1024 << (level % 3)})
		data, err := codec.Marshal(strings.Repeat("ab", 500))
		require.NoError(t, err)
		var back string
		require.NoError(t, newCodec(t, zstdcodec.Options{}).Unmarshal(data, &back), "level %d", level)
		assert.Equal(t, strings.Repeat("ab", 500), back)
	}
}

// FuzzUnmarshal: whatever the bytes are, the answer is an error or a value.
func FuzzUnmarshal(f *testing.F) {
	codec := newCodec(f, zstdcodec.Options{Above: 10, MaxBytes: 1 << 16})
	for _, v := range []string{"", "short", strings.Repeat("long", 100)} {
		data, err := codec.Marshal(v)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		var v string
		err := codec.Unmarshal(data, &v)
		if before != string(data) {
			t.Fatal("the bytes have changed")
		}
		if err != nil {
			return
		}
		if again, err := codec.Marshal(v); err != nil && !errors.Is(err, provider.ErrTooLarge) || err == nil && len(again) == 0 {
			t.Fatalf("%q was decoded and cannot be encoded: %v", v, err)
		}
	})
}
