package msgpackcodec

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/readthrough/readthrough/internal/cycles"
)

type tree struct {
	Name     string
	Weight   float64
	Children []tree
	At       time.Time
	Labels   map[string]any
}

// TestScan: it accepts what the library writes, of every kind and size, and nothing that is shorter or longer.
func TestScan(t *testing.T) {
	t.Parallel()
	long := make(map[int]bool)
	for i := range 70_000 {
		long[i] = true
	}
	for _, v := range []any{
		nil, true, false, 0, 127, 128, -1, -32, -33, -129, -40_000, int64(1 << 40), int64(-1 << 40), uint8(255), uint16(65535), uint32(1 << 31), uint64(1 << 63), float32(1), 1.5,
		"", "short", strings.Repeat("a", 32), strings.Repeat("a", 256), strings.Repeat("a", 70_000), []byte(nil),
		[]byte{},
		make([]byte, 300), make([]byte, 70_000),
		[]int{},
		make([]int, 15), make([]int, 16), make([]int, 70_000),
		map[string]int{},
		map[string]int{"a": 1},
		long,
		time.Time{},
		time.Unix(1, 0), time.Unix(1, 1), time.Unix(1<<40, 1),
		tree{"root", 1, []tree{{Name: "leaf"}}, time.Now(), map[string]any{"a": []any{1, "b", nil}}},
	} {
		data, err := msgpack.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, scan(data), "%T", v)
		assert.Error(t, scan(append(bytes.Clone(data), 0xc0)), "%T with a byte more", v)
		for i := 0; i < len(data); i += 1 + i/8 {
			assert.Error(t, scan(data[:i]), "%T: %d of %d bytes", v, i, len(data))
		}
	}
	for _, ext := range []string{"\xd4\x05a", "\xd5\x05aa", "\xd6\x05aaaa", "\xd7\x05aaaaaaaa", "\xd8\x05aaaaaaaaaaaaaaaa", "\xc7\x01\x05a", "\xc8\x00\x01\x05a", "\xc9\x00\x00\x00\x01\x05a"} {
		require.NoError(t, scan([]byte(ext)), "%q", ext)
		require.Error(t, scan([]byte(ext[:len(ext)-1])), "%q", ext)
	}
	require.NoError(t, scan([]byte(strings.Repeat("\x91", cycles.MaxDepth)+"\xc0")))
	require.ErrorContains(t, scan([]byte(strings.Repeat("\x91", cycles.MaxDepth+1)+"\xc0")), "10000 deep")
	require.ErrorContains(t, scan([]byte{0xc1}), "no value begins with 0xc1")
}

// FuzzUnmarshal: whatever the bytes are, the answer is an error or a value, and what was decoded can be encoded.
func FuzzUnmarshal(f *testing.F) {
	codec := New()
	for _, v := range []any{tree{}, tree{"root", 1, []tree{{Name: "leaf"}}, time.Unix(1, 2), map[string]any{"a": []any{1, "b", nil}}}, "text", 1.5} {
		data, err := codec.Marshal(v)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v tree
		var free any
		if codec.Unmarshal(data, &v) == nil {
			if _, err := codec.Marshal(v); err != nil {
				t.Fatalf("%v was decoded and cannot be encoded: %v", v, err)
			}
		}
		_ = codec.Unmarshal(data, &free)
	})
}
