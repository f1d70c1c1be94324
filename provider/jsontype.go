package provider

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// jsonType is what is known of how package encoding/json treats the values of a type.
type jsonType struct {
	// risky says that some value may not come back as it was. If it is not set, every
	// value does, unless a string in it is no UTF-8 or a time in it is odd.
	risky bool
	// times says that there may be times in a value.
	times bool
}

// jsonTypeOf walks over a type. Whatever it does not know is risky.
func jsonTypeOf(t reflect.Type) jsonType {
	w := jsonWalk{under: make(map[reflect.Type]bool)}
	w.visit(t)
	return w.found
}

// jsonWalk is a walk over a type.
type jsonWalk struct {
	found jsonType
	under map[reflect.Type]bool // the types that the walk is in
}

func (w *jsonWalk) visit(t reflect.Type) {
	if isTime(t) {
		w.found.times = true
		return
	}
	// A recursive type may be nested more deeply than is decoded.
	if w.under[t] || t == reflect.TypeFor[json.Number]() || t.Kind() != reflect.Pointer && hasJSONMethods(t) {
		w.found.risky = true
	}
	if w.found.risky {
		return
	}
	w.under[t] = true
	defer delete(w.under, t)
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
	case reflect.Array, reflect.Slice:
		w.visit(t.Elem())
	case reflect.Map:
		w.found.risky = isTime(t.Key()) // whose text is not looked at
		w.visit(t.Key())
		w.visit(t.Elem())
	case reflect.Pointer:
		w.visitPointer(t)
	case reflect.Struct:
		w.visitFields(t, make(map[string]bool))
	default:
		w.found.risky = true
	}
}

// visitPointer visits a type of pointers. A pointer to nil is encoded as nil is.
func (w *jsonWalk) visitPointer(t reflect.Type) {
	switch t.Elem().Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		w.found.risky = true
	default:
		w.visit(t.Elem())
	}
}

// visitFields visits the fields of a struct. names are those that the value has so far.
func (w *jsonWalk) visitFields(t reflect.Type, names map[string]bool) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Name == "_":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && !isTime(f.Type) && !w.under[f.Type]:
			w.visitFields(f.Type, names) // as if they were fields of t
		case tag == "-", f.Anonymous, !f.IsExported():
			w.found.risky = true
		default:
			w.visitField(f, name, options, names)
		}
	}
}

func (w *jsonWalk) visitField(f reflect.StructField, name, options string, names map[string]bool) {
	if name == "" {
		name = f.Name
	}
	// Of several fields with the same name, some or all are left out. An odd name may
	// not count.
	if names[name] || strings.ContainsFunc(name, isOdd) {
		w.found.risky = true
	}
	names[name] = true
	kind := f.Type.Kind()
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "string":
			w.found.risky = true
		case "omitempty":
			w.found.risky = w.found.risky || kind == reflect.Slice || kind == reflect.Map
		case "omitzero":
			_, isZero := f.Type.MethodByName("IsZero")
			w.found.risky = w.found.risky || isZero && !isTime(f.Type) || kind != reflect.Pointer && hasJSONMethods(f.Type) && !isTime(f.Type)
		}
	}
	w.visit(f.Type)
}

// isOdd reports whether a name with r may be none for JSON.
func isOdd(r rune) bool {
	return r != '_' && r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func isTime(t reflect.Type) bool { return t == reflect.TypeFor[time.Time]() }

// hasJSONMethods reports whether values of a type, or pointers to them, encode or
// decode themselves.
func hasJSONMethods(t reflect.Type) bool {
	for _, i := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

// hasOddTime reports whether there is a time in v whose zone is not a whole number of
// minutes from UTC, as before there were zones: its text has no seconds of the zone. v
// has a type that is not risky.
func hasOddTime(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && hasOddTime(v.Elem())
	case reflect.Array, reflect.Slice:
		return mayHaveTimes(v.Type().Elem()) && anyOf(v.Len(), func(i int) bool { return hasOddTime(v.Index(i)) })
	case reflect.Map:
		for i := v.MapRange(); mayHaveTimes(v.Type().Elem()) && i.Next(); {
			if hasOddTime(i.Value()) {
				return true
			}
		}
	case reflect.Struct:
		if !isTime(v.Type()) {
			return anyOf(v.NumField(), func(i int) bool { return hasOddTime(v.Field(i)) })
		}
		if t, ok := reflect.TypeAssert[time.Time](v); ok {
			_, offset := t.Zone()
			return offset%60 != 0
		}
	default:
	}
	return false
}

// mayHaveTimes reports whether a value of a type may have times, by its kind.
func mayHaveTimes(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Array, reflect.Slice, reflect.Map, reflect.Struct:
		return true
	default:
		return false
	}
}

func anyOf(n int, is func(int) bool) bool {
	for i := range n {
		if is(i) {
			return true
		}
	}
	return false
}
