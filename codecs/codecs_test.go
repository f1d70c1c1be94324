package codecs_test

import (
	"encoding/gob"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/readthrough/readthrough/codecs/internal/shop"
	"github.com/readthrough/readthrough/codecs/msgpackcodec"
	"github.com/readthrough/readthrough/codecs/protobufcodec"
	"github.com/readthrough/readthrough/codecs/zstdcodec"
	"github.com/readthrough/readthrough/gobcodec"
	"github.com/readthrough/readthrough/provider"
)

// tree contains itself.
type tree struct {
	Name     string
	Children []*tree
}

// circle returns a value that contains itself.
func circle() *tree {
	t := &tree{Name: "circle"}
	t.Children = []*tree{t}
	return t
}

// decode decodes what was encoded into a new value of the type of like.
func decode(e provider.Encoded, like any) (any, error) {
	into := reflect.New(reflect.TypeOf(like))
	err := e.Decode(into.Interface())
	return into.Elem().Interface(), err
}

// TestComesBack: ordinary values are kept by every codec, and come back as they were.
func TestComesBack(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"user": sampleUser(1), "pointer": new(sampleUser(2)), "order": sampleOrder(), "users": sampleUsers(),
		"number": int64(math.MinInt64), "large": uint64(math.MaxUint64), "float": math.Pi, "NaN": math.NaN(), "text": "Ångström", "bytes": []byte{0, 1, 2}, "bool": true,
		"ids": []int64{3, 1, 2}, "map": map[string]int{"a": 1, "b": -2}, "nil slice": []user(nil), "nil pointer": (*user)(nil), "nil map": map[string]int(nil),
		"empty slice": []user{}, "empty map": map[string]int{}, "array": [3]int16{1, 2, 3}, "long": strings.Repeat("long ", 5000),
		"time": created, "zero time": time.Time{}, "address": netip.MustParseAddr("2001:db8::1"), "tree": tree{"root", []*tree{{Name: "leaf"}}},
		"message": userMessage(3), "order message": orderMessage(), "messages": userMessages(), "nil message": (*shop.User)(nil), "empty message": &shop.User{},
		"nil messages": []*shop.User(nil), "no messages": []*shop.User{},
	}
	for _, codec := range all(t) {
		checker := provider.NewChecker(codec)
		hasMessages := strings.Contains(codec.Name(), "protobuf")
		for name, value := range values {
			if strings.Contains(name, "message") && !hasMessages || name == "NaN" && strings.Contains(codec.Name(), "json") {
				continue
			}
			encoded, err := checker.Encode(value)
			if !assert.NoError(t, err, "%s: %s", codec.Name(), name) {
				continue
			}
			assert.Equal(t, codec.Name(), encoded.Codec.Name(), name)
			straight, err := provider.Encode(codec, value)
			require.NoError(t, err)
			for _, e := range []provider.Encoded{encoded, straight} {
				before := string(e.Data)
				back, err := decode(e, value)
				require.NoError(t, err, "%s: %s", codec.Name(), name)
				assert.Equal(t, before, string(e.Data), "%s: %s: the bytes have changed", codec.Name(), name)
				wantSame(t, value, back, codec.Name()+": "+name)
			}
		}
	}
}

func wantSame(t *testing.T, want, got any, name string) {
	t.Helper()
	switch want := want.(type) {
	case proto.Message:
		m, ok := got.(proto.Message)
		assert.True(t, ok && proto.Equal(want, m), name)
	case []*shop.User:
		list, ok := got.([]*shop.User)
		require.True(t, ok, name)
		assert.Equal(t, want == nil, list == nil, name)
		require.Len(t, list, len(want), name)
		for i := range want {
			assert.True(t, proto.Equal(want[i], list[i]), name)
		}
	case float64:
		f, ok := got.(float64)
		assert.True(t, ok && (f == want || math.IsNaN(f) && math.IsNaN(want)), name)
	case time.Time, user, *user, order, []user:
		assert.EqualExportedValues(t, utc(want), utc(got), name)
	default:
		assert.Equal(t, want, got, name)
	}
}

// utc returns v with its times in UTC: a zone is not kept.
func utc(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.UTC()
	case user:
		v.Created = v.Created.UTC()
		return v
	case *user:
		if v == nil {
			return v
		}
		return utc(*v)
	case []user:
		list := make([]user, len(v))
		for i := range v {
			list[i], _ = utc(v[i]).(user)
		}
		return append(list[:0:0], list...)
	case order:
		v.Ordered, v.Paid = v.Ordered.UTC(), new(v.Paid.UTC())
		return v
	default:
		return v
	}
}

// TestLossIsFound: what a codec would not give back is refused before it is stored.
func TestLossIsFound(t *testing.T) {
	t.Parallel()
	type hidden struct{ Sum, sum int }
	type pointer struct{ Number *int }
	type empty struct{ List []int }
	type secret struct {
		Name   string
		Hidden string `json:"-" msgpack:"-"`
	}
	type free struct{ Value any }
	gob.Register(map[string]any(nil)) // so that gob could
	for _, c := range []struct {
		codec  provider.Codec
		value  any
		reason string
	}{
		{gobcodec.New(), hidden{1, 2}, "hidden.sum is unexported"},
		{gobcodec.New(), pointer{new(0)}, "pointer.Number would come back as nil"},
		{gobcodec.New(), empty{[]int{}}, "empty.List would come back as nil"},
		{msgpackcodec.New(), hidden{1, 2}, "hidden.sum is unexported"},
		{msgpackcodec.New(), secret{"ada", "x"}, "secret.Hidden would come back as another string"},
		{msgpackcodec.New(), free{70_000}, "free.Value holds a int, which would come back as a"},
		{protobufcodec.New(nil), secret{"ada", "x"}, `secret.Hidden has the tag json:"-"`},
		{protobufcodec.New(nil), hidden{1, 2}, "hidden.sum is unexported"},
		{protobufcodec.New(nil), map[string]*shop.Order{"a": orderMessage()}, "would"},
		{zstdOf(t, provider.JSON(), zstdcodec.Options{Above: 1}), secret{"ada", "x"}, `secret.Hidden has the tag json:"-"`},
		{zstdOf(t, provider.JSON(), zstdcodec.Options{Above: 1}), "\xff" + strings.Repeat("a", 2000), "is not valid UTF-8"},
		{zstdOf(t, msgpackcodec.New(), zstdcodec.Options{Above: 1}), hidden{1, 2}, "hidden.sum is unexported"},
		{protobufcodec.New(zstdOf(t, provider.JSON(), zstdcodec.Options{})), hidden{1, 2}, "hidden.sum is unexported"},
	} {
		_, err := provider.NewChecker(c.codec).Encode(c.value)
		require.ErrorIs(t, err, provider.ErrLossy, "%s: %T", c.codec.Name(), c.value)
		assert.ErrorContains(t, err, c.reason, c.codec.Name())
	}
}

// TestNotEncodable: a value that contains itself is an error of every codec, and not the end of the process.
func TestNotEncodable(t *testing.T) {
	t.Parallel()
	circular := &shop.Tree{Name: "circle"}
	circular.Children = []*shop.Tree{circular}
	deep := &shop.Tree{}
	for range 20_000 {
		deep = &shop.Tree{Children: []*shop.Tree{deep}}
	}
	for _, codec := range all(t) {
		values := []any{circle(), func() {}, make(chan int), map[string]any{"f": func() {}}}
		if strings.Contains(codec.Name(), "protobuf") {
			values = append(values, circular, deep, []*shop.Tree{circular})
		}
		for _, v := range values {
			_, err := provider.NewChecker(codec).Encode(v)
			assert.Error(t, err, "%s: %T", codec.Name(), v)
		}
	}
}

// TestDeep: bytes that are nested deeply are an error, and not the end of the process.
func TestDeep(t *testing.T) {
	t.Parallel()
	name := provider.TypeShape(reflect.TypeFor[tree]())
	for _, data := range [][]byte{
		[]byte(strings.Repeat("\x91", 30<<20)),                         // arrays in arrays
		[]byte(strings.Repeat("\x92\xa0\x91", 10<<20)),                 // trees in trees
		[]byte(strings.Repeat("\x81\xa0", 15<<20)),                     // maps in maps
		[]byte("\xdd\xff\xff\xff\xff"), []byte("\xc6\xff\xff\xff\xff"), // lengths without bytes
	} {
		var into tree
		assert.ErrorIs(t, provider.Encoded{Data: data, Type: name, Codec: msgpackcodec.New()}.Decode(&into), provider.ErrUndecodable)
		var free any
		assert.ErrorIs(t, provider.Encoded{Data: data, Codec: msgpackcodec.New()}.Decode(&free), provider.ErrUndecodable)
	}
}

// TestDamagedBytes: whatever the bytes are, the answer is an error or a value.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // a test
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
	for _, codec := range all(t) {
		for _, value := range []any{sampleUser(1), sampleOrder(), []int{1, 2}, map[string]any{"a": "b"}, tree{"root", []*tree{{Name: "leaf"}}}, orderMessage(), []*shop.User{userMessage(1), nil}, big.NewInt(7)} {
			encoded, err := provider.Encode(codec, value)
			if err != nil {
				continue // an order message with another codec
			}
			good := string(encoded.Data)
			for range 200 {
				data := []byte(good)
				for range 1 + rng.IntN(3) {
					switch i := rng.IntN(len(data) + 1); rng.IntN(3) {
					case 0:
						data = data[:i]
					case 1:
						data = append(data[:i:i], append([]byte{byte(rng.Uint32())}, data[i:]...)...)
					default:
						if i < len(data) {
							data[i] ^= 1 << rng.IntN(8)
						}
					}
				}
				encoded.Data = data
				if _, err := decode(encoded, value); err != nil {
					assert.ErrorIs(t, err, provider.ErrUndecodable)
				}
			}
		}
	}
}

// TestConcurrently: a codec is used by many goroutines at once.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	for _, codec := range all(t) {
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				for i := range 20 {
					value := sampleUser(100*n + i)
					e, err := provider.Encode(codec, value)
					if !assert.NoError(t, err) {
						return
					}
					back, err := decode(e, value)
					assert.NoError(t, err)
					wantSame(t, value, back, codec.Name())
				}
			})
		}
		wg.Wait()
	}
}

// TestNames: a store takes 1 to 32 bytes, and tells codecs apart by their names.
func TestNames(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, codec := range all(t) {
		assert.False(t, names[codec.Name()], codec.Name())
		names[codec.Name()] = true
		assert.LessOrEqual(t, len(codec.Name()), 32, codec.Name())
	}
	assert.True(t, names["protobuf+zstd+msgpack"], "%v", names)
}
