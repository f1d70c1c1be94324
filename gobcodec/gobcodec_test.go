package gobcodec_test

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/gobcodec"
	"github.com/readthrough/readthrough/provider"
)

type tree struct {
	Name     string
	Children []*tree
	Labels   map[string]int
}

type secret struct {
	Name string
	Hash string `json:"-"`
}

// comesBack encodes and decodes a value as a store does.
func comesBack[T any](t *testing.T, v T) {
	t.Helper()
	e, err := provider.NewChecker(gobcodec.New()).Encode(v)
	require.NoError(t, err, "%#v", v)
	var back T
	require.NoError(t, e.Decode(&back), "%#v", v)
	assert.Equal(t, v, back)
}

// TestComesBack: also what gob alone does not keep: nil and empty, if they are the whole value.
func TestComesBack(t *testing.T) {
	t.Parallel()
	comesBack(t, 7)
	comesBack(t, 0)
	comesBack(t, "text")
	comesBack(t, secret{"ada", "x"})
	comesBack(t, &secret{"ada", "x"})
	comesBack(t, (*secret)(nil))
	comesBack(t, []secret{{"ada", "x"}})
	comesBack(t, []secret{})
	comesBack(t, []secret(nil))
	comesBack(t, map[string]int{"a": 1})
	comesBack(t, map[string]int{})
	comesBack(t, map[string]int(nil))
	comesBack(t, tree{"root", []*tree{{Name: "leaf"}}, map[string]int{"a": 1}})
}

// TestReported: what it cannot keep is found before it is stored.
func TestReported(t *testing.T) {
	t.Parallel()
	circle := &tree{Name: "circle"}
	circle.Children = []*tree{circle}
	deep := &tree{}
	for range 20_000 {
		deep = &tree{Children: []*tree{deep}}
	}
	for name, c := range map[string]struct {
		value any
		is    error
		text  string
	}{
		"empty in a struct": {tree{Children: []*tree{}}, provider.ErrLossy, "tree.Children would come back as nil"},
		"nil in a slice":    {[]*secret{nil}, provider.ErrUnencodable, "nil element"},
		"a circle":          {circle, provider.ErrUnencodable, "the value contains itself"},
		"too deep":          {deep, provider.ErrUnencodable, "nested more than 10,000 deep"},
		"nothing exported":  {struct{ a int }{1}, provider.ErrUnencodable, "no exported fields"},
		"a function":        {func() {}, provider.ErrUnencodable, ""},
		"nil":               {nil, provider.ErrUnencodable, "nil has no type"},
		"too large to read": {tree{Name: strings.Repeat("a", gobcodec.MaxDeepBytes)}, provider.ErrLossy, "at most 262144 are decoded"},
	} {
		_, err := provider.NewChecker(gobcodec.New()).Encode(c.value)
		require.ErrorIs(t, err, c.is, name)
		if name != "too large to read" { // whose text is not in the error that may be logged
			assert.ErrorContains(t, err, c.text, name)
		}
	}
	comesBack(t, strings.Repeat("a", 2*gobcodec.MaxDeepBytes)) // no bound for what is not deep
}

// TestDeepestBytes: the deepest value that the bound lets through does not end the process.
func TestDeepestBytes(t *testing.T) {
	t.Parallel()
	type link struct{ Next *link }
	var b bytes.Buffer
	require.NoError(t, gob.NewEncoder(&b).Encode(link{&link{}}))
	// The last message is: its length, the type, and the value, which is 1 (the field) for each link and 0 (the end)
	// for each link.
	message := bytes.LastIndexByte(b.Bytes()[:b.Len()-3], 0xff)
	require.Positive(t, message)
	head := append([]byte{1}, b.Bytes()[:b.Len()-5]...)
	typeID := b.Bytes()[b.Len()-5 : b.Len()-3]
	t.Logf("% x: head % x, type % x", b.Bytes(), head, typeID)
	const depth = gobcodec.MaxDeepBytes/2 - 200
	value := append(bytes.Clone(typeID), bytes.Repeat([]byte{1}, depth)...)
	value = append(value, bytes.Repeat([]byte{0}, depth+1)...)
	head = head[:len(head)-1] // the length of the message
	n := len(value)
	data := append(bytes.Clone(head), 0xfd, byte(n>>16), byte(n>>8), byte(n))
	data = append(data, value...)
	require.LessOrEqual(t, len(data), gobcodec.MaxDeepBytes)
	var into link
	err := gobcodec.New().Unmarshal(data, &into)
	require.NoError(t, err)
	found := 0
	for l := &into; l.Next != nil; l = l.Next {
		found++
	}
	assert.Equal(t, depth, found)
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	good, err := gobcodec.New().Marshal(secret{"ada", "x"})
	require.NoError(t, err)
	var into secret
	for name, data := range map[string][]byte{"nothing": {}, "nil": {2}, "empty": {3}, "unknown": {4}, "more": append(bytes.Clone(good), 0), "less": good[:len(good)-1]} {
		assert.Error(t, gobcodec.New().Unmarshal(data, &into), name)
	}
	var list []int
	assert.Error(t, gobcodec.New().Unmarshal([]byte{2, 0}, &list), "nil and more")
	assert.ErrorContains(t, gobcodec.New().Unmarshal(good, into), "it must be a pointer")
	assert.ErrorContains(t, gobcodec.New().Unmarshal(good, (*secret)(nil)), "it must be a pointer that is not nil")
}

// FuzzUnmarshal: whatever the bytes are, the answer is an error or a value.
func FuzzUnmarshal(f *testing.F) {
	codec := gobcodec.New()
	for _, v := range []any{tree{"root", []*tree{{Name: "leaf"}}, map[string]int{"a": 1}}, []string{"a"}, map[string]int(nil)} {
		data, err := codec.Marshal(v)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, into := range []any{new(tree), new([]string), new(map[string]int), new(*tree)} {
			e := provider.Encoded{Data: data, Type: provider.TypeShape(reflect.TypeOf(into).Elem()), Codec: codec}
			_ = e.Decode(into)
		}
	})
}
