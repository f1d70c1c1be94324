package providertest

import (
	"fmt"
	"reflect"

	"github.com/readthrough/readthrough/provider"
)

// payload is a value like those that services cache.
type payload struct {
	Name  string
	Count int
	Tags  []string
	Inner map[string]int
}

// differ describes how a value that a store returned differs from the value that
// was stored; empty means that it does not. A store outside the process returns
// a [provider.Encoded], which must decode to an equal value. Any other store
// must return the same value that it was given.
func differ(got, want any) string {
	if encoded, ok := got.(provider.Encoded); ok {
		return differDecoded(encoded, want)
	}
	if reflect.TypeOf(got) != reflect.TypeOf(want) {
		return fmt.Sprintf("the value is a %T, want a %T", got, want)
	}
	if want == nil {
		return ""
	}
	if !sameIdentity(reflect.ValueOf(got), reflect.ValueOf(want)) {
		return fmt.Sprintf("the value is a copy of the %T that was stored: a store in the process hands back the same Go value", want)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("the value is %s, want %s", brief(got), brief(want))
	}
	return ""
}

// differEqual is differ for a value that only has to be equal.
func differEqual(got, want any) string {
	if reflect.TypeOf(got) == reflect.TypeOf(want) && (want == nil || emptyBoth(reflect.ValueOf(got), reflect.ValueOf(want)) || reflect.DeepEqual(got, want)) {
		return ""
	}
	return fmt.Sprintf("the value is %s, want %s", brief(got), brief(want))
}

// differDecoded decodes into the type of want and compares.
func differDecoded(encoded provider.Encoded, want any) string {
	asked := reflect.TypeOf(want)
	if asked == nil {
		asked = reflect.TypeFor[any]()
	}
	into := reflect.New(asked)
	if err := encoded.Decode(into.Interface()); err != nil {
		return fmt.Sprintf("the value does not decode into %v: %v", asked, err)
	}
	got := into.Elem().Interface()
	if emptyBoth(into.Elem(), reflect.ValueOf(want)) || reflect.DeepEqual(got, want) {
		return ""
	}
	return fmt.Sprintf("the value decodes into %s, want %s", brief(got), brief(want))
}

// emptyBoth reports whether both are empty slices or maps. A codec may return an
// empty one as nil.
func emptyBoth(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() || (a.Kind() != reflect.Slice && a.Kind() != reflect.Map) {
		return false
	}
	return a.Len() == 0 && b.Len() == 0
}

// sameIdentity reports whether a and b refer to the same memory, if their type
// is a reference type. Both have the same type.
func sameIdentity(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Slice:
		return a.Pointer() == b.Pointer() && a.Len() == b.Len()
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func:
		return a.Pointer() == b.Pointer()
	default:
		return true
	}
}

// as returns the T in a value, and whether the value is a T.
func as[T any](value any) (T, bool) {
	if encoded, ok := value.(provider.Encoded); ok {
		var decoded T
		err := encoded.Decode(&decoded)
		return decoded, err == nil
	}
	v, ok := value.(T)
	return v, ok
}

// brief formats a value for a message, shortened if it is long.
func brief(value any) string {
	if encoded, ok := value.(provider.Encoded); ok {
		return shorten(fmt.Sprintf("encoded %s %q", encoded.Type, encoded.Data))
	}
	return shorten(fmt.Sprintf("%T %#v", value, value))
}
