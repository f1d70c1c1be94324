package provider

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
)

// LossError says which part of a value would not come back from a store as it was
// given to it. It matches [ErrLossy].
type LossError struct {
	// Type is the name of the type of the value, as [TypeName] returns it.
	Type string
	// Path is where the first lost part is, such as "shop.Account.Hash".
	Path string
	// Reason is what happens to it, as a predicate, such as
	// `has the tag json:"-" and would come back empty`. It has no part of the value.
	Reason string
	// Unreadable says that nothing of the value would come back: it cannot be decoded.
	Unreadable bool

	_ struct{}
}

// Error returns the path and the reason.
func (e *LossError) Error() string { return fmt.Sprintf("%v: %s %s", ErrLossy, e.Path, e.Reason) }

// Is reports whether target is [ErrLossy].
func (*LossError) Is(target error) bool { return target == ErrLossy }

// Comparer is the capability of a [Codec] to compare values. A [Checker] needs it for
// types that keep more than their value, such as messages of protocol buffers, which
// keep their size once they were encoded.
type Comparer interface {
	// Equal reports whether b, which was decoded, is as good as a, which was encoded.
	// Both have the same type.
	Equal(a, b any) bool
}

// Wrapper is the capability of a [Codec] to build on others: to compress or to encrypt what
// another codec has encoded, or to leave some types to another codec. A [Checker] then asks the
// codec inside what is lost of a value.
//
// What Marshal returns for v is what Wrap returns for the bytes that Inner(v).Marshal(v) returns.
type Wrapper interface {
	Codec
	// Inner returns the codec that encodes v. It is not nil, and not the wrapper itself.
	Inner(v any) Codec
	// Wrap returns the bytes that Marshal makes of data, which Inner has encoded. Unmarshal of
	// the result decodes exactly data. Wrap may keep data, and append to it.
	Wrap(data []byte) ([]byte, error)
}

// Checker encodes values for a store outside the process, and finds those of which
// the codec would lose something. Make it with [NewChecker]; it is safe for concurrent
// use.
type Checker struct {
	codec  Codec
	types  sync.Map // from reflect.Type to jsonType; of values that JSON encodes
	equals equals
}

// NewChecker returns a checker for codec. If codec is a [Comparer], its Equal compares
// values. If it is a [Wrapper], the codec that it wraps does what this one does not.
func NewChecker(codec Codec) *Checker { return &Checker{codec: codec} }

// Encode encodes v as the function [Encode] does. In addition, it decodes what it has
// encoded and compares that with v. If they differ, it returns both the encoded value
// and a [*LossError]: the store decides.
//
// A value of a type that [JSON] always returns as it was is not decoded. The walk over
// the type that finds this out happens once. With any other codec, every value is
// decoded. Of a [Wrapper], only what the wrapped codec has encoded is decoded: a wrapper
// promises that the bytes come back.
//
// Values are equal if all their parts are, the unexported ones too. Two parts with a
// method Equal or Cmp for their own type are equal if it says so; times are therefore
// equal if they are the same instant. NaN equals NaN. A nil slice or map does not equal
// an empty one.
func (c *Checker) Encode(v any) (Encoded, error) { return c.encode(c.codec, v) }

func (c *Checker) encode(codec Codec, v any) (Encoded, error) {
	if wrapper, ok := codec.(Wrapper); ok {
		return c.encodeWrapped(wrapper, v)
	}
	encoded, err := Encode(codec, v)
	if _, was := v.(Encoded); err != nil || was || v == nil || c.isExact(codec, v, encoded.Data) {
		return encoded, err
	}
	return encoded, c.compare(v, encoded)
}

// encodeWrapped encodes with a wrapper what the codec in it encodes and checks.
func (c *Checker) encodeWrapped(codec Wrapper, v any) (encoded Encoded, err error) {
	defer recoverAs(&err, ErrUnencodable)
	if e, ok := v.(Encoded); ok && e.Codec != nil && e.Codec.Name() == codec.Name() {
		return e, nil
	}
	encoded, err = c.encode(codec.Inner(v), v)
	if err != nil && !errors.Is(err, ErrLossy) {
		return Encoded{}, err
	}
	data, wrapErr := codec.Wrap(slices.Clip(encoded.Data))
	if wrapErr != nil {
		return Encoded{}, fmt.Errorf("%w: %T with codec %s: %w", ErrUnencodable, v, codec.Name(), newCodecError(wrapErr))
	}
	encoded.Data, encoded.Codec = data, codec
	return encoded, err
}

// isExact reports whether it is known, without decoding data, that v comes back.
func (c *Checker) isExact(codec Codec, v any, data []byte) bool {
	if _, isJSON := codec.(jsonCodec); !isJSON {
		return false
	}
	t := reflect.TypeOf(v)
	known, ok := c.types.Load(t)
	if !ok {
		known, _ = c.types.LoadOrStore(t, jsonTypeOf(t))
	}
	is, _ := known.(jsonType) //nolint:errcheck // it has nothing else
	// JSON replaces bytes that are no UTF-8. Where that character was before, values
	// are compared although nothing may have been lost.
	return !is.risky && !bytes.Contains(data, []byte(`\ufffd`)) && !bytes.Contains(data, []byte("\ufffd")) &&
		!(is.times && hasOddTime(reflect.ValueOf(v)))
}

// compare returns a [*LossError] if v is not what encoded is decoded into.
func (c *Checker) compare(v any, encoded Encoded) (err error) {
	t := reflect.TypeOf(v)
	loss := &LossError{Type: TypeName(t), Path: TypeName(t)}
	defer func() {
		if r := recover(); r != nil {
			loss.Reason = fmt.Sprintf("cannot be compared with what would come back: panic: %v", r)
			err = loss
		}
	}()
	back := reflect.New(t)
	if err := encoded.Decode(back.Interface()); err != nil {
		loss.Reason, loss.Unreadable = "would not come back: "+reasonOf(err), true
		return loss
	}
	if comparer, ok := encoded.Codec.(Comparer); ok {
		if comparer.Equal(v, back.Elem().Interface()) {
			return nil
		}
		loss.Reason = "would come back as another value, by Equal of the codec"
		return loss
	}
	_, isJSON := encoded.Codec.(jsonCodec)
	d := (&comparison{isJSON: isJSON, equals: &c.equals}).diff(addressable(reflect.ValueOf(v)), back.Elem())
	if d == nil {
		return nil
	}
	loss.Path += d.path
	loss.Reason = d.reason
	return loss
}

// reasonOf returns why a value cannot be decoded, without a part of it.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*codecError](err); ok {
		return e.logged
	}
	return err.Error()
}
