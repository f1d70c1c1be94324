// Package stablekey encodes filters as cache keys: readable JSON that is the
// same for equal values and different for different ones.
//
// It follows encoding/json (names, tags, embedding, marshalers) and departs
// from it only where that would make two different values look the same, or two
// equal values different.
//
// # The form
//
// JSON without insignificant space. The members of every object are sorted by
// the bytes of their names, whether they come from a struct, a map or a
// marshaler.
//
//   - Struct fields have their JSON names; rename, "-", omitempty, omitzero,
//     string and the rules of embedding are those of encoding/json. An
//     unexported field is an error, because values that differ in it would share
//     a key: tag it `json:"-"` if it is not part of the filter. Blank fields and
//     fields of size zero are fine. Two fields that hide each other are an error
//     too, where encoding/json would drop both.
//   - A field that is nil is left out: a pointer, an interface (or what it holds),
//     a map or a slice. An empty map or slice is not nil and stays. Everywhere
//     else (in lists, in maps, on its own) nil is null, and empty is [] or {}.
//     So nil and empty are different filters, unless the field says omitempty.
//     An embedded nil pointer is as good as one with all its fields left out.
//   - A map has keys of string or integer kind or with a MarshalText method. Two
//     keys with the same text are an error.
//   - Integers are exact. Floats have the shortest digits that read back as the
//     same float, and no sign at zero, as -0 == 0. Numbers that come as text
//     (json.Number, marshalers) are reduced to their exact value: 1, 1.0 and 10e-1
//     are 1, without rounding. The empty json.Number is "".
//   - Strings escape the quote, the backslash and control characters; all other
//     text stands for itself, HTML and U+2028 included. A byte that is not valid
//     UTF-8 becomes an escaped lone surrogate, \udc80 to \udcff, which no other
//     string is encoded as.
//   - []byte is base64, as in encoding/json.
//   - time.Time is its instant, in UTC, to the nanosecond: times that are Equal
//     give equal keys. A filter that depends on the zone needs it as a field.
//   - MarshalJSON and MarshalText are honoured, on the value or on its pointer
//     whether or not the value is addressable, so that a filter and a pointer to it
//     have the same key. What MarshalJSON returns is reduced to this form; a name
//     that occurs twice in an object is an error.
//
// # What equal means
//
// Two values of one Go type have the same encoding exactly if they are equal,
// up to what is named above: what tags leave out, zones of times, signs of zero,
// embedded nil pointers, fields hidden by others of the same name, and what
// marshalers make equal. A struct that embeds a type with a
// MarshalJSON or MarshalText method inherits it, and with it loses its other
// fields: declare such a field with a name. What an interface holds is told
// apart by its JSON, not by its Go type: int 1 and float64 1 are the same, "1" is
// another.
package stablekey

import (
	"reflect"
)

const (
	// maxDepth bounds the nesting, counting pointers and interfaces too. It is
	// what ends cycles.
	maxDepth = 1000
	// maxLength bounds the encoding. A value without cycles can still contain
	// itself exponentially often, by pointers that are shared.
	maxLength = 4 << 20
)

// Encode returns the stable encoding of v.
//
// The error names the place and the problem. It comes back for NaN and
// infinities, channels, functions, complex numbers and unsafe pointers, cycles
// and everything else nested deeper than 1000 levels, encodings longer than 4
// MiB, map keys that have no text or the same text, unexported and ambiguous
// struct fields, times outside the years 0 to 9999, and marshalers that fail,
// panic or return something other than JSON. The error of a marshaler is wrapped.
//
// Encode does not change v. It is safe for concurrent use as long as nobody
// else changes v meanwhile.
func Encode(v any) (string, error) {
	encoded, err := AppendEncode(make([]byte, 0, 256), v)
	if err != nil {
		return "", err
	}
	return string(encoded), nil
}

// AppendEncode appends the stable encoding of v to dst and returns the extended
// slice. With an error, the same as that of [Encode], it returns dst unchanged;
// the array behind dst may have been written to beyond its length.
func AppendEncode(dst []byte, v any) ([]byte, error) {
	e := encoder{buf: dst, start: len(dst)}
	if err := e.value(reflect.ValueOf(v)); err != nil {
		return dst, located(err, v)
	}
	if err := e.checkLength(); err != nil {
		return dst, located(err, v)
	}
	return e.buf, nil
}
