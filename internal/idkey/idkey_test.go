package idkey_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/idkey"
)

type (
	userID   int64
	tenant   string
	memberID struct {
		Tenant tenant
		User   userID
	}
	place struct {
		Member memberID
		Floor  int8
		_      int
		Open   bool
	}
	noFields struct{}
)

// text returns the text of an id, or of its first fields if leading is positive.
func text[ID comparable](t testing.TB, id ID, leading int) string {
	t.Helper()
	p, err := idkey.New(reflect.TypeFor[ID]())
	require.NoError(t, err)
	if leading == 0 {
		return string(p.Append(nil, unsafe.Pointer(&id)))
	}
	b, err := p.AppendLeading(nil, unsafe.Pointer(&id), leading)
	require.NoError(t, err)
	return string(b)
}

// These texts are parts of keys in stores that outlive a process: they must not change.
func TestTexts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{text(t, "a/b%c", 0), "a/b%c"},
		{text(t, tenant(""), 0), ""},
		{text(t, -42, 0), "-42"},
		{text(t, userID(1<<62), 0), "4611686018427387904"},
		{text(t, int8(-128), 0), "-128"},
		{text(t, int16(-300), 0), "-300"},
		{text(t, int32(70000), 0), "70000"},
		{text(t, uint(7), 0), "7"},
		{text(t, uint8(255), 0), "255"},
		{text(t, uint16(65535), 0), "65535"},
		{text(t, uint32(1), 0), "1"},
		{text(t, uint64(1<<63), 0), "9223372036854775808"},
		{text(t, uintptr(9), 0), "9"},
		{text(t, true, 0), "true"},
		{text(t, [4]byte{0xca, 0xfe, 0, 1}, 0), "cafe0001"},
		{text(t, [2]string{"a/b", "c"}, 0), "a%2Fb/c"},
		{text(t, [2]int{1, 2}, 0), "1/2"},
		{text(t, memberID{"acme", 42}, 0), "acme/42"},
		{text(t, memberID{"ac/me%", 42}, 0), "ac%2Fme%25/42"},
		{text(t, struct{ Name string }{"a/b"}, 0), "a%2Fb"},
		{text(t, place{Member: memberID{"acme", 42}, Floor: -1, Open: true}, 0), "acme/42/-1/true"},
		{text(t, memberID{Tenant: "acme"}, 1), "acme/"},
		{text(t, place{Member: memberID{"acme", 42}, Floor: -1}, 1), "acme/42/"},
		{text(t, place{Member: memberID{"acme", 42}, Floor: -1}, 2), "acme/42/-1/"},
	} {
		assert.Equal(t, c.want, c.got)
	}
}

func TestTypesWithoutATextAreRefused(t *testing.T) {
	for typ, problem := range map[reflect.Type]string{
		reflect.TypeFor[float64]():                       "float64 is a float64",
		reflect.TypeFor[*int]():                          "*int is a *int",
		reflect.TypeFor[any]():                           "interface {} is a interface {}",
		reflect.TypeFor[struct{ At struct{ P *int } }](): ".At.P is a *int",
		reflect.TypeFor[noFields]():                      "has no fields",
		reflect.TypeFor[[65]int]():                       "has 65 elements, of at most 64",
		reflect.TypeFor[[2]float32]():                    "[2]float32[0] is a float32",
	} {
		_, err := idkey.New(typ)
		assert.ErrorContains(t, err, problem, "%v", typ)
	}
}

func TestLeadingFieldsAreSomeButNotAll(t *testing.T) {
	id := memberID{"acme", 42}
	p, err := idkey.New(reflect.TypeFor[memberID]())
	require.NoError(t, err)
	for _, fields := range []int{-1, 0, 2, 3} {
		_, err := p.AppendLeading(nil, unsafe.Pointer(&id), fields)
		assert.ErrorContains(t, err, fmt.Sprintf("%d fields, of ids that have 2", fields))
	}
	blank := struct {
		Tenant string
		_      struct{}
	}{Tenant: "acme"}
	p, err = idkey.New(reflect.TypeOf(blank))
	require.NoError(t, err)
	_, err = p.AppendLeading(nil, unsafe.Pointer(&blank), 1)
	assert.ErrorContains(t, err, "1 fields", "nothing follows the first field: the prefix would cover no id")
	p, err = idkey.New(reflect.TypeFor[int]())
	require.NoError(t, err)
	n := 1
	_, err = p.AppendLeading(nil, unsafe.Pointer(&n), 1)
	assert.ErrorContains(t, err, "no fields")
}

// FuzzTexts: two ids have one text exactly if they are equal, and a prefix covers exactly the ids with
// these first fields.
func FuzzTexts(f *testing.F) {
	f.Add("user", "1", int64(1), "user", "1/", int64(10))
	f.Add("a/b", "c", int64(0), "a", "b/c", int64(0))
	f.Add("a%2Fb", "", int64(1), "a/b", "", int64(1))
	f.Add("", "a", int64(-1), "a", "", int64(-1))
	f.Fuzz(func(t *testing.T, a, b string, n int64, c, d string, m int64) {
		type id struct {
			A, B string
			N    int64
		}
		one, two := id{a, b, n}, id{c, d, m}
		assert.Equal(t, one == two, text(t, one, 0) == text(t, two, 0), "%q and %q", text(t, one, 0), text(t, two, 0))
		assert.Equal(t, a == c, strings.HasPrefix(text(t, two, 0), text(t, one, 1)), "the first field of %+v and %+v", one, two)
		assert.Equal(t, a == c && b == d, strings.HasPrefix(text(t, two, 0), text(t, one, 2)), "two fields of %+v and %+v", one, two)
	})
}
