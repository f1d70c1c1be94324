package readthrough

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// valueOf returns a stored value as a T. In a store outside the process it decodes the value.
func valueOf[T any](stored any) (T, error) {
	if value, ok := stored.(T); ok {
		if _, encoded := stored.(provider.Encoded); !encoded {
			return value, nil
		}
	}
	return convert[T](stored)
}

// convert is valueOf without its common case. It is apart so that the common case stays small.
func convert[T any](stored any) (T, error) {
	var value T
	if encoded, ok := stored.(provider.Encoded); ok {
		if isInterface[T]() { // the codec would choose a type, such as a map for a struct
			return value, errInterface[T]()
		}
		if err := encoded.Decode(&value); err != nil {
			var none T // the codec may have filled a part of value
			return none, err
		}
		return value, nil
	}
	if stored == nil && isInterface[T]() {
		return value, nil
	}
	return value, fmt.Errorf("%w: the entry holds a %T, not a %v", errTypeMismatch, stored, reflect.TypeFor[T]())
}

// holdsA reports whether valueOf returns a stored value as a T, unless the bytes of the value are
// damaged. It does not decode.
func holdsA[T any](stored any) bool {
	if encoded, ok := stored.(provider.Encoded); ok {
		return encoded.Holds(reflect.TypeFor[T]())
	}
	_, ok := stored.(T)
	return ok || stored == nil && isInterface[T]()
}

// checkIDs returns an error if an id cannot be compared: it has an interface in it which holds, say, a slice.
// A map of ids would panic (G10).
func checkIDs[ID comparable](ids []ID) error {
	if !hasInterface(reflect.TypeFor[ID]()) {
		return nil
	}
	for n := range ids {
		if !reflect.ValueOf(&ids[n]).Elem().Comparable() {
			return fmt.Errorf("readthrough: id of type %T: must be comparable", ids[n])
		}
	}
	return nil
}

// hasInterface reports whether a value of a comparable type may have an interface in it.
func hasInterface(t reflect.Type) bool {
	switch t.Kind() { //nolint:exhaustive // the other kinds have no parts
	case reflect.Interface:
		return true
	case reflect.Array:
		return hasInterface(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if hasInterface(field.Type) {
				return true
			}
		}
	}
	return false
}

// isInterface reports whether T is an interface type.
func isInterface[T any]() bool { return reflect.TypeFor[T]().Kind() == reflect.Interface }

// errInterface is the error of a call with an interface type, on a store that encodes values.
func errInterface[T any]() error {
	return fmt.Errorf("readthrough: values of type %v: the store encodes values, and an interface does not say which type to decode: "+
		"use the type that it holds, such as a struct", reflect.TypeFor[T]())
}

// panicError returns the error of a panic with value. It is called while the panic is recovered, so the
// stack is that of the panic.
func panicError(value any) *PanicError { return &PanicError{Value: value, Stack: debug.Stack()} }

// age returns how long ago loadedAt was; 0 if that is not known, or if the clock went back.
func age(loadedAt time.Time) time.Duration {
	if loadedAt.IsZero() {
		return 0
	}
	return max(0, time.Since(loadedAt))
}

// isNil reports whether v is nil, or a nil pointer in an interface.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return r.IsNil()
	default:
		return false
	}
}

// same reports whether two errors are one and the same error. errors.Is would call user code, and
// two errors that match may say different things.
func same(a, b error) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b //nolint:errorlint // identity is meant
}

// joinErrors is [errors.Join] that leaves a single error as it is.
func joinErrors(errs ...error) error {
	var only error
	for _, err := range errs {
		switch {
		case err == nil:
		case only == nil:
			only = err
		default:
			return errors.Join(errs...)
		}
	}
	return only
}
