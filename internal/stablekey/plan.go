package stablekey

import (
	"encoding"
	"encoding/json"
	"reflect"
	"sync"
	"time"
)

// how is the way in which values of a type are encoded.
type how int

const (
	unsupported how = iota
	asBool
	asInt
	asUint
	asFloat
	asString
	asNumber // json.Number
	asTime
	asBytes
	asList
	asMap
	asStruct
	asPointer
	asInterface
	asJSON // by MarshalJSON
	asText // by MarshalText
)

// plan is what the encoder knows of a type before it sees a value. It does not
// change.
type plan struct {
	how how
	// onPointer means that the method of asJSON or asText has a pointer
	// receiver.
	onPointer bool
	// key is the encoding of map keys: asString, asInt, asUint, asTime, asText
	// or unsupported.
	key how
	// fields are the fields of a struct, sorted by name. err says why the struct
	// cannot be encoded.
	fields []field
	err    error
}

// plans maps a reflect.Type to its *plan. A plan depends on the type alone, and
// there is at most one per type of the program. The cache is global because one
// per call would be useless.
var plans sync.Map //nolint:gochecknoglobals // See above: a memo of a pure function, no state.

func planOf(t reflect.Type) *plan {
	if known, ok := plans.Load(t); ok {
		if p, ok := known.(*plan); ok {
			return p
		}
	}
	p := newPlan(t)
	plans.Store(t, p)
	return p
}

func newPlan(t reflect.Type) *plan {
	p := &plan{}
	p.how, p.onPointer = howOf(t)
	switch p.how {
	case asStruct:
		p.fields, p.err = fieldsOf(t)
	case asMap:
		p.key = howKeyOf(t.Key())
	default:
	}
	return p
}

func howOf(t reflect.Type) (h how, onPointer bool) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return asTime, false
	case t == reflect.TypeFor[json.Number]():
		return asNumber, false
	case t.Kind() == reflect.Pointer:
		// Pointers come first: their method sets include those of the types that
		// they point to.
		return asPointer, false
	case t.Kind() == reflect.Interface:
		return asInterface, false
	}
	if has, onPointer := hasMethod(t, reflect.TypeFor[json.Marshaler]()); has {
		return asJSON, onPointer
	}
	if has, onPointer := hasMethod(t, reflect.TypeFor[encoding.TextMarshaler]()); has {
		return asText, onPointer
	}
	return howKind(t), false
}

// hasMethod reports whether t implements i, or only the pointer to t does.
func hasMethod(t, i reflect.Type) (has, onPointer bool) {
	if t.Implements(i) {
		return true, false
	}
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(i) {
		return true, true
	}
	return false, false
}

// howKind returns the encoding of a type without marshaler, by its kind.
func howKind(t reflect.Type) how {
	switch t.Kind() {
	case reflect.Bool:
		return asBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return asInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return asUint
	case reflect.Float32, reflect.Float64:
		return asFloat
	case reflect.String:
		return asString
	case reflect.Slice:
		if elem := t.Elem(); elem.Kind() == reflect.Uint8 {
			if h, _ := howOf(elem); h == asUint {
				return asBytes
			}
		}
		return asList
	case reflect.Array:
		return asList
	case reflect.Map:
		return asMap
	case reflect.Struct:
		return asStruct
	default:
		return unsupported
	}
}

// howKeyOf returns the encoding of map keys of type t. As in encoding/json, a
// string kind takes precedence over MarshalText.
func howKeyOf(t reflect.Type) how {
	switch {
	case t.Kind() == reflect.String:
		return asString
	case t == reflect.TypeFor[time.Time]():
		return asTime
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return asText
	}
	switch h := howKind(t); h {
	case asInt, asUint:
		return h
	default:
		return unsupported
	}
}
