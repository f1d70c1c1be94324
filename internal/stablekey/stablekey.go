// Package stablekey encodes filters as cache keys: readable JSON that is the same
// for equal values and different for different ones.
//
// It follows encoding/json (names, tags, embedding, marshalers). It differs only
// where encoding/json would make two different values look the same, or two equal
// values different.
//
// # The form
//
// The form is JSON without white space between tokens. The members of every object
// are sorted by the bytes of their names, whether they come from a struct, a map
// or a marshaler.
//
//   - Struct fields have their JSON names. Rename, "-", omitempty, omitzero,
//     string and the rules of embedding are those of encoding/json. An unexported
//     field is an error, because values that differ only in it would share a key:
//     tag it `json:"-"` if it does not belong to the filter. Blank fields and
//     fields of size zero are allowed. Two fields of which neither hides the other
//     are an error too; encoding/json would drop both.
//   - A field that is nil is left out: a pointer, an interface (or its content), a
//     map or a slice. An empty map or slice is not nil and stays. Everywhere else
//     (in lists, in maps, on its own) nil is null, and empty is [] or {}. Nil and
//     empty are therefore different filters, unless the field has omitempty. A nil
//     embedded pointer is encoded like one whose fields are all left out.
//   - A map has keys of string or integer kind, or with a MarshalText method. Two
//     keys with the same text are an error.
//   - Integers are exact. Floats have the fewest digits that read back as the same
//     float, and zero has no sign, because -0 == 0. Numbers in text form
//     (json.Number, marshalers) are reduced to their exact value, without
//     rounding: 1, 1.0 and 10e-1 are all 1. The empty json.Number is "".
//   - Strings escape the quote, the backslash and control characters. All other
//     text is unchanged, HTML and U+2028 included. A byte that is not valid UTF-8
//     becomes an escaped lone surrogate, \udc80 to \udcff, which no other string
//     is encoded as.
//   - []byte is base64, as in encoding/json.
//   - time.Time is its instant in UTC, to the nanosecond: times that are Equal
//     have equal keys. A filter that depends on the zone needs the zone as a
//     field.
//   - MarshalJSON and MarshalText are called on the value or on its pointer,
//     whether or not the value is addressable, so a filter and a pointer to it
//     have the same key. The output of MarshalJSON is reduced to this form. A name
//     that occurs twice in an object is an error.
//
// # What equal means
//
// Two values of one Go type have the same encoding only if they are equal, apart
// from the exceptions above: fields that tags leave out, zones of times, signs of
// zero, nil embedded pointers, fields hidden by others of the same name, and
// values that marshalers make equal. A struct that embeds a type with a
// MarshalJSON or MarshalText method inherits the method, and its other fields are
// lost: give such a field a name. The content of an interface is distinguished by
// its JSON, not by its Go type: int 1 and float64 1 are the same, and differ from
// "1".
package stablekey

import (
	"reflect"
)

const (
	// maxDepth bounds the nesting; pointers and interfaces count too. It ends
	// cycles.
	maxDepth = 1000
	// maxLength bounds the encoding. A value without cycles can still be
	// exponentially large, if pointers are shared.
	maxLength = 4 << 20
)

// Encode returns the stable encoding of v.
//
// An error names the place and the problem. These are errors: NaN and infinities,
// channels, functions, complex numbers and unsafe pointers; cycles, and everything
// else nested deeper than 1000 levels; encodings longer than 4 MiB; map keys
// without a text, or with the same text; unexported and ambiguous struct fields;
// times outside the years 0 to 9999; and marshalers that fail, panic, or return
// something other than JSON. Encode wraps the error of a marshaler.
//
// Encode does not change v. It is safe for concurrent use while nobody changes v.
func Encode(v any) (string, error) {
	encoded, err := AppendEncode(make([]byte, 0, 256), v)
	if err != nil {
		return "", err
	}
	return string(encoded), nil
}

// AppendEncode appends the stable encoding of v to dst and returns the extended
// slice. On an error, which is that of [Encode], it returns dst unchanged; it may
// have written to the array behind dst beyond its length.
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
