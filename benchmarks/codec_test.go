package benchmarks

import (
	"encoding/json"
	"testing"

	"github.com/bytedance/sonic"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/readthrough/readthrough/provider"
)

// The codecs below are all that it takes to use another encoding: give one to
// redisprovider.Options.Codec.

// jsonV2Codec is the second version of encoding/json.
type jsonV2Codec struct{}

func (jsonV2Codec) Name() string                       { return "json-v2" }
func (jsonV2Codec) Marshal(v any) ([]byte, error)      { return jsonv2.Marshal(v) }
func (jsonV2Codec) Unmarshal(data []byte, v any) error { return jsonv2.Unmarshal(data, v) }

// sonicCodec copies the strings that it decodes: a codec must not keep the data.
type sonicCodec struct{ api sonic.API }

func newSonicCodec() sonicCodec {
	return sonicCodec{sonic.Config{CopyString: true, EscapeHTML: true, SortMapKeys: true, CompactMarshaler: true}.Froze()}
}

func (sonicCodec) Name() string                         { return "sonic" }
func (c sonicCodec) Marshal(v any) ([]byte, error)      { return c.api.Marshal(v) }
func (c sonicCodec) Unmarshal(data []byte, v any) error { return c.api.Unmarshal(data, v) }

type msgpackCodec struct{}

func (msgpackCodec) Name() string                       { return "msgpack" }
func (msgpackCodec) Marshal(v any) ([]byte, error)      { return msgpack.Marshal(v) }
func (msgpackCodec) Unmarshal(data []byte, v any) error { return msgpack.Unmarshal(data, v) }

// BenchmarkCodec encodes and decodes a record.
func BenchmarkCodec(b *testing.B) {
	codecs := []provider.Codec{provider.JSON(), jsonV2Codec{}, msgpackCodec{}, newSonicCodec()}
	r := example()
	data, err := json.Marshal(r)
	require.NoError(b, err, "the example")
	require.Len(b, data, 295, "the example")
	for _, codec := range codecs {
		b.Run("encode/"+codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			var data []byte
			watch := start(b)
			for range b.N {
				var err error
				if data, err = codec.Marshal(r); err != nil {
					b.Fatal(err)
				}
			}
			watch.stop(b, b.N)
			b.ReportMetric(float64(len(data)), "bytes")
		})
	}
	for _, codec := range codecs {
		data, err := codec.Marshal(r)
		require.NoError(b, err)
		b.Run("decode/"+codec.Name(), func(b *testing.B) {
			b.ReportAllocs()
			watch := start(b)
			for range b.N {
				var got record
				if err := codec.Unmarshal(data, &got); err != nil {
					b.Fatal(err)
				}
			}
			watch.stop(b, b.N)
		})
	}
}
