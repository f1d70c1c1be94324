package provider_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

type tree struct {
	Name     string
	Children []*tree
}

type status int

// shape returns the type of a local struct that is called user in all of these functions.
func userTypes() map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	{
		type user struct{ Name string }
		types["base"] = reflect.TypeFor[user]()
	}
	{
		type user struct {
			Name  string
			Limit int
		}
		types["another field"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Nickname string }
		types["a field that was renamed"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name []byte }
		types["a field of another type"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name *string }
		types["a pointer"] = reflect.TypeFor[user]()
	}
	{
		type user struct {
			Name string `json:"name"`
		}
		types["another tag"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name [2]string }
		types["an array"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name [3]string }
		types["a longer array"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name map[string]struct{ A int } }
		types["a nested struct"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name map[string]struct{ B int } }
		types["a nested struct with another field"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ Name time.Time }
		types["a time"] = reflect.TypeFor[user]()
	}
	{
		type user struct{ tree }
		types["an embedded struct"] = reflect.TypeFor[user]()
	}
	return types
}

// TestTypeShape: types of one name with different fields are different shapes, and a value of one is not decoded as
// another.
func TestTypeShape(t *testing.T) {
	shapes := make(map[string]string)
	for name, typ := range userTypes() {
		shape := provider.TypeShape(typ)
		assert.Regexp(t, `^provider_test\.user#[0-9a-f]{8}$`, shape, name)
		assert.Empty(t, shapes[shape], "%s has the shape of another type", name)
		shapes[shape] = name
		assert.Equal(t, shape, provider.TypeShape(typ), "asked again")
		for other, otherType := range userTypes() {
			assert.Equal(t, name == other, provider.Encoded{Type: shape}.Holds(otherType), "%s holds %s", name, other)
		}
		assert.True(t, provider.Encoded{Type: "provider_test.user"}.Holds(typ), "a name without a shape: %s", name)
	}
}

// TestSameShape: what no codec sees does not change a shape.
func TestSameShape(t *testing.T) {
	type a struct {
		Status status `db:"status"`
		hidden int
	}
	first := provider.TypeShape(reflect.TypeFor[a]())
	_ = a{hidden: 1}
	second := func() string {
		type a struct{ Status int }
		return provider.TypeShape(reflect.TypeFor[a]())
	}()
	assert.Equal(t, first, second)
	for want, typ := range map[string]reflect.Type{
		"nil": nil, "int": reflect.TypeFor[int](), "[]string": reflect.TypeFor[[]string](), "time.Time": reflect.TypeFor[time.Time](),
		"struct {}": reflect.TypeFor[struct{}](), "map[string]interface {}": reflect.TypeFor[map[string]any](),
	} {
		assert.Equal(t, want, provider.TypeShape(typ), "no shape")
	}
	assert.NotEqual(t, provider.TypeShape(reflect.TypeFor[tree]()), provider.TypeShape(reflect.TypeFor[*tree]()), "and a recursive type has an end")
}

// TestDecodeAnotherShape: an entry that was encoded from a struct with other fields is not decoded.
func TestDecodeAnotherShape(t *testing.T) {
	encode := func() provider.Encoded {
		type user struct{ Name string }
		encoded, err := provider.Encode(provider.JSON(), user{"Ada"})
		require.NoError(t, err)
		return encoded
	}
	type user struct {
		Name  string
		Limit int
	}
	var got user
	err := encode().Decode(&got)
	require.ErrorIs(t, err, provider.ErrUndecodable)
	assert.Regexp(t, `the entry holds a provider_test.user#\w{8}, not a provider_test.user#\w{8}$`, err.Error())
	assert.Zero(t, got)
}
