package provider

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// Codec turns values into bytes and back, for stores that leave the process.
// It is safe for concurrent use.
type Codec interface {
	// Name identifies the encoding in what is stored, so that bytes are never
	// given to another codec: 1 to 32 bytes.
	Name() string
	// Marshal encodes v.
	Marshal(v any) ([]byte, error)
	// Unmarshal decodes data into what the non-nil pointer v points to. It must
	// not keep data.
	Unmarshal(data []byte, v any) error
}

// JSON returns the default codec: package encoding/json.
func JSON() Codec { return jsonCodec{} }

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Encoded is the [Entry.Value] that a store outside the process returns. The
// reader, who knows the type, decodes it.
type Encoded struct {
	// Data is the encoded value. It is not changed by decoding.
	Data []byte
	// Type is the name of the Go type that was encoded, as [TypeName] gives it.
	Type string
	// Codec decodes Data.
	Codec Codec
}

// Encode encodes an [Entry.Value] with codec. The error matches
// [ErrUnencodable]; a panic of the codec, or of a method that the codec calls on
// v, is such an error too. What is encoded with that codec already is returned as
// it is.
func Encode(codec Codec, v any) (encoded Encoded, err error) {
	defer recoverAs(&err, ErrUnencodable)
	if e, ok := v.(Encoded); ok && e.Codec != nil && e.Codec.Name() == codec.Name() {
		return e, nil
	}
	data, err := codec.Marshal(v)
	if err != nil {
		return Encoded{}, fmt.Errorf("%w: %T with codec %s: %w", ErrUnencodable, v, codec.Name(), err)
	}
	return Encoded{Data: data, Type: TypeName(reflect.TypeOf(v)), Codec: codec}, nil
}

// Decode decodes e into what the non-nil pointer into points to. The error
// matches [ErrUndecodable] if the bytes are not a value of that type: because
// the codec says so, or because a value of another type was stored. A panic of
// the codec is such an error too.
//
// Types are compared by name, so that a value of one struct type is never read
// as a zero value of another only because JSON permits it. A reader that asks
// for an interface type accepts whatever the codec can decode into it.
func (e Encoded) Decode(into any) (err error) {
	defer recoverAs(&err, ErrUndecodable)
	pointer := reflect.TypeOf(into)
	if pointer == nil || pointer.Kind() != reflect.Pointer {
		return fmt.Errorf("provider: decode into %T: not a pointer", into)
	}
	want := pointer.Elem()
	if want.Kind() != reflect.Interface && e.Type != TypeName(want) {
		return fmt.Errorf("%w: the entry holds a %s, not a %s", ErrUndecodable, e.Type, TypeName(want))
	}
	if err := e.Codec.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("%w: as %s with codec %s: %w", ErrUndecodable, TypeName(want), e.Codec.Name(), err)
	}
	return nil
}

// recoverAs turns a panic of the caller into an error that matches sentinel.
func recoverAs(err *error, sentinel error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: panic in the codec: %v", sentinel, r)
	}
}

// TypeName returns the name under which values of type t are stored: what
// [reflect.Type.String] returns, which has the name of a type's package but not
// its path. Processes that share a store share these names. It is "nil" for the
// type of a nil interface value.
func TypeName(t reflect.Type) string {
	if t == nil {
		return "nil"
	}
	return t.String()
}
