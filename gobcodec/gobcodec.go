// Package gobcodec is the codec of package encoding/gob, for stores outside the process. It uses the standard
// library only:
//
//	store, err := redisprovider.New(client, redisprovider.Options{Codec: gobcodec.New()})
//
// It keeps all exported fields, whatever their tags, and values in interfaces whose types are registered with
// [encoding/gob.Register]. Each value has the description of its type with it, so it takes more bytes and time than JSON
// for small values. The documentation of this module compares the codecs (docs/values.md).
package gobcodec

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"

	"github.com/readthrough/readthrough/internal/cycles"
	"github.com/readthrough/readthrough/provider"
)

// MaxDeepBytes is the most bytes of an encoded value whose type contains itself or an interface: 256 KiB. Package
// encoding/gob does not bound how deep such values are, and damaged bytes could end the process. Values of all other
// types have no bound here.
const MaxDeepBytes = 256 << 10

// New returns the codec, whose name is "gob". It is safe for concurrent use.
//
// Of these values, something would be lost, so a store does not keep them and reports it: an empty slice or map in a
// struct, which would come back as nil; a pointer to zero, which would come back as nil; an unexported field; a channel
// or a function. A slice that has nil pointers in it, a struct without exported fields, and a value that contains itself
// cannot be encoded. A nil pointer, slice or map, and an empty slice or map, come back as they are if they are the
// whole value.
func New() provider.Codec { return codec{} }

type codec struct{}

// The first byte of an encoded value.
const (
	isGob   = 1 // the rest is written by package gob
	isNil   = 2 // a nil pointer, slice or map; nothing follows
	isEmpty = 3 // a slice or a map without elements; nothing follows
)

func (codec) Name() string { return "gob" }

func (codec) Marshal(v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if rv.IsNil() {
			return []byte{isNil}, nil
		}
		if rv.Kind() != reflect.Pointer && rv.Len() == 0 {
			return []byte{isEmpty}, nil
		}
	case reflect.Invalid:
		return nil, errors.New("gobcodec: nil has no type")
	default:
	}
	if err := cycles.Check(v); err != nil {
		return nil, fmt.Errorf("gobcodec: %w", err)
	}
	var b bytes.Buffer
	b.WriteByte(isGob)
	if err := gob.NewEncoder(&b).EncodeValue(rv); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (codec) Unmarshal(data []byte, v any) error {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("gobcodec: decode into %T: it must be a pointer that is not nil", v)
	}
	if len(data) == 0 {
		return errors.New("gobcodec: no bytes")
	}
	if data[0] != isGob {
		return decodeMark(data, into.Elem())
	}
	if len(data) > MaxDeepBytes && cycles.Deep(into.Type().Elem()) {
		return fmt.Errorf("gobcodec: %d bytes of a type that contains itself or an interface, at most %d are decoded", len(data), MaxDeepBytes)
	}
	r := bytes.NewReader(data[1:])
	if err := gob.NewDecoder(r).DecodeValue(into); err != nil {
		return err
	}
	if r.Len() > 0 {
		return fmt.Errorf("gobcodec: %d bytes after the value", r.Len())
	}
	return nil
}

// decodeMark decodes a value that is one byte into v.
func decodeMark(data []byte, v reflect.Value) error {
	kind := v.Kind()
	switch {
	case len(data) > 1:
	case data[0] == isNil && (kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map):
		v.SetZero()
		return nil
	case data[0] == isEmpty && kind == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return nil
	case data[0] == isEmpty && kind == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		return nil
	}
	return fmt.Errorf("gobcodec: not the encoding of a %v", v.Type())
}
