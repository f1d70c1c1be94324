package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strconv"
	"strings"
)

// Codec encodes values for stores outside the process, and decodes them. It is
// safe for concurrent use.
type Codec interface {
	// Name names the encoding, in 1 to 32 bytes, such as "json". The store keeps
	// it with each value, so that a codec never decodes the bytes of another one.
	Name() string
	// Marshal encodes v.
	Marshal(v any) ([]byte, error)
	// Unmarshal decodes data into the value that v, a non-nil pointer, points to.
	// It must not keep data.
	Unmarshal(data []byte, v any) error
}

// JSON returns the default codec. It uses package encoding/json.
func JSON() Codec { return jsonCodec{} }

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Encoded is the [Entry.Value] that a store outside the process returns. The
// reader knows the type and decodes the value.
type Encoded struct {
	// Data is the encoded value. Decoding does not change it.
	Data []byte
	// Type is the name of the encoded Go type, as [TypeShape] returns it. A store may also keep the name
	// that [TypeName] returns; then a type is not told apart from one with the same name and other fields.
	Type string
	// Codec decodes Data.
	Codec Codec

	// original is what was encoded, if whoever encoded it keeps it; see WithOriginal.
	original any
	// decoded is told of the value that Decode returns; nil: nobody is. See OnDecode.
	decoded func(value any)
}

// WithOriginal returns e with the value that was encoded. A near cache keeps that value, and not the
// bytes.
func (e Encoded) WithOriginal(value any) Encoded {
	e.original = value
	return e
}

// Original returns the value that was encoded; nil if it is not known.
func (e Encoded) Original() any { return e.original }

// OnDecode returns e with a function that each successful Decode calls with the value, in the
// goroutine of its caller. A near cache keeps that value, so it is shared from then on. Functions that e has
// already are called first.
func (e Encoded) OnDecode(told func(value any)) Encoded {
	if first := e.decoded; first != nil {
		then := told
		told = func(value any) {
			first(value)
			then(value)
		}
	}
	e.decoded = told
	return e
}

// Encode encodes v, an [Entry.Value], with codec. If v is an [Encoded] of a codec
// of the same name, Encode returns it unchanged. Any error matches
// [ErrUnencodable], also after a panic of the codec or of a method of v that the
// codec calls.
func Encode(codec Codec, v any) (encoded Encoded, err error) {
	defer recoverAs(&err, ErrUnencodable)
	if e, ok := v.(Encoded); ok && e.Codec != nil && e.Codec.Name() == codec.Name() {
		return e, nil
	}
	data, err := codec.Marshal(v)
	if err != nil {
		return Encoded{}, fmt.Errorf("%w: %T with codec %s: %w", ErrUnencodable, v, codec.Name(), newCodecError(err))
	}
	return Encoded{Data: data, Type: TypeShape(reflect.TypeOf(v)), Codec: codec}, nil
}

// Decode decodes e into the value that into, a non-nil pointer, points to. The
// error matches [ErrUndecodable] if the entry holds a value of another type, if
// the codec rejects the bytes, or if it panics.
//
// Types are compared by name and shape: JSON alone would decode one struct type into a zero
// value of another. A caller that asks for an interface type accepts whatever the
// codec can decode into it, which the cache never does: JSON returns a map for a
// struct.
func (e Encoded) Decode(into any) (err error) {
	defer recoverAs(&err, ErrUndecodable)
	pointer := reflect.TypeOf(into)
	if pointer == nil || pointer.Kind() != reflect.Pointer {
		return fmt.Errorf("provider: decode into %T: not a pointer", into)
	}
	want := pointer.Elem()
	if want.Kind() != reflect.Interface && !e.Holds(want) {
		return fmt.Errorf("%w: the entry holds a %s, not a %s", ErrUndecodable, clip(e.Type), TypeShape(want))
	}
	if err := e.Codec.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("%w: as %s with codec %s: %w", ErrUndecodable, TypeName(want), e.Codec.Name(), newCodecError(err))
	}
	if e.decoded != nil && want.Kind() != reflect.Interface {
		e.decoded(reflect.ValueOf(into).Elem().Interface())
	}
	return nil
}

// clip shortens the name of a type that a store has returned: it may be anything.
func clip(name string) string {
	const most = 128
	if len(name) > most {
		return fmt.Sprintf("%q… (%d bytes)", name[:most], len(name))
	}
	if quoted := strconv.Quote(name); len(quoted) != len(name)+2 { //nolint:mnd // the quotes
		return quoted
	}
	return name
}

// codecError is an error or a panic of a codec. It may quote a part of the value, as
// package encoding/json quotes numbers. So it has another text for logs: it is a
// [slog.LogValuer], which the cache asks.
type codecError struct {
	text, logged string
	cause        error // nil after a panic
}

func (e *codecError) Error() string { return e.text }

func (e *codecError) Unwrap() error { return e.cause }

// LogValue returns what has gone wrong without what the codec says of it.
func (e *codecError) LogValue() slog.Value { return slog.StringValue(e.logged) }

// newCodecError returns the error of a codec that has returned err.
func newCodecError(err error) *codecError {
	return &codecError{text: clipTo(err.Error(), mostCodecText), logged: codecText(err), cause: err}
}

// mostCodecText bounds what is kept of the text of a codec's error, in bytes.
const mostCodecText = 1 << 10

// codecText says what an error of a codec is, without a part of the value.
func codecText(err error) string {
	var (
		syntax      *json.SyntaxError
		badType     *json.UnmarshalTypeError
		unsupported *json.UnsupportedTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON from byte %d on", syntax.Offset)
	case errors.As(err, &badType):
		kind, _, _ := strings.Cut(badType.Value, " ") // a number follows
		return fmt.Sprintf("the JSON %s at byte %d does not fit into a %v", kind, badType.Offset, badType.Type)
	case errors.As(err, &unsupported):
		return unsupported.Error()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return fmt.Sprintf("the codec returned a %T", err)
}

// recoverAs turns a panic of the deferring function into an error that matches
// sentinel.
func recoverAs(err *error, sentinel error) {
	if r := recover(); r != nil {
		logged := fmt.Sprintf("a %T", r)
		if bug, ok := r.(runtime.Error); ok {
			logged = bug.Error()
		}
		*err = fmt.Errorf("%w: panic in the codec: %w", sentinel, &codecError{text: clipTo(fmt.Sprint(r), mostCodecText), logged: logged})
	}
}

// clipTo shortens a text to at most bytes, and a mark that it did.
func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// TypeName returns the name under which a store keeps values of type t. It is the
// result of [reflect.Type.String], which has the name of the package but not its
// path, or "nil" for the type of a nil interface value. Processes that share a
// store share these names.
func TypeName(t reflect.Type) string {
	if t == nil {
		return "nil"
	}
	return t.String()
}
