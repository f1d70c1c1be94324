package stablekey

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// receiver returns v, or a pointer to it, as the receiver of a method. For a
// pointer, it copies a value that is not addressable.
func receiver(v reflect.Value, pointer bool) (any, error) {
	if !v.CanInterface() {
		return nil, fail("the methods of an unexported field cannot be called")
	}
	if !pointer {
		return v.Interface(), nil
	}
	if !v.CanAddr() {
		boxed := reflect.New(v.Type())
		boxed.Elem().Set(v)
		return boxed.Interface(), nil
	}
	return v.Addr().Interface(), nil
}

// marshalJSON returns the result of v's MarshalJSON.
func marshalJSON(v reflect.Value, pointer bool) (output []byte, err error) {
	r, err := receiver(v, pointer)
	if err != nil {
		return nil, err
	}
	m, ok := r.(json.Marshaler)
	if !ok {
		return nil, fail("%s has no MarshalJSON", v.Type())
	}
	defer recovered(&err, "MarshalJSON")
	output, err = m.MarshalJSON()
	if err != nil {
		return nil, fail("MarshalJSON: %w", err)
	}
	return output, nil
}

// marshalText returns the result of v's MarshalText.
func marshalText(v reflect.Value, pointer bool) (text string, err error) {
	r, err := receiver(v, pointer)
	if err != nil {
		return "", err
	}
	m, ok := r.(encoding.TextMarshaler)
	if !ok {
		return "", fail("%s has no MarshalText", v.Type())
	}
	defer recovered(&err, "MarshalText")
	output, err := m.MarshalText()
	if err != nil {
		return "", fail("MarshalText: %w", err)
	}
	return string(output), nil
}

type zeroer interface{ IsZero() bool }

// callIsZero returns the result of v's IsZero. A nil pointer is zero; the
// method is not called.
func callIsZero(v reflect.Value, pointer bool) (zero bool, err error) {
	inner := v
	if inner.Kind() == reflect.Interface {
		inner = inner.Elem()
	}
	if !inner.IsValid() || inner.Kind() == reflect.Pointer && inner.IsNil() {
		return true, nil
	}
	r, err := receiver(v, pointer)
	if err != nil {
		return false, err
	}
	z, ok := r.(zeroer)
	if !ok {
		return false, fail("%s has no IsZero", v.Type())
	}
	defer recovered(&err, "IsZero")
	return z.IsZero(), nil
}

// recovered turns a panic of the user's method into an error. It must be
// deferred.
func recovered(err *error, method string) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = fail("%s panicked: %w", method, p)
	default:
		*err = fail("%s panicked: %v", method, p)
	}
}
