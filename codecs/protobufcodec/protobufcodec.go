// Package protobufcodec is a codec for messages of protocol buffers, for stores outside the process:
//
//	store, err := redisprovider.New(client, redisprovider.Options{Codec: protobufcodec.New(nil)})
//
// It encodes values of type proto.Message, such as *shop.User, and slices of one type of messages, such as []*shop.User.
// Another codec encodes values of all other types, such as numbers and lists of ids: one store has values of many types.
package protobufcodec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/readthrough/readthrough/provider"
)

// New returns the codec. others encodes values that are no messages; nil means [provider.JSON]. The name of the codec is
// "protobuf+" and the name of others, such as "protobuf+json": a process with another codec does not read its entries,
// and loads. It is safe for concurrent use if others is.
//
// Two messages are equal if proto.Equal says so. A message comes back with its unknown fields. A nil message, a nil
// slice and nil elements come back as nil.
//
// A message has the fingerprint of its description with it: the name, number and type of each field, also of the messages
// inside. A process whose description differs does not read the entry, although protocol buffers could: it would find
// nothing in a new field, which the source has. A message that requires a field without a value, or contains itself,
// cannot be encoded.
func New(others provider.Codec) provider.Codec {
	if others == nil {
		others = provider.JSON()
	}
	return &codec{others: others, name: "protobuf+" + others.Name()}
}

type codec struct {
	others provider.Codec
	name   string
}

func (c *codec) Name() string { return c.name }

func (c *codec) Inner(v any) provider.Codec { return c.of(reflect.TypeOf(v)) }

func (*codec) Wrap(data []byte) ([]byte, error) { return data, nil }

func (c *codec) Marshal(v any) ([]byte, error) { return c.Inner(v).Marshal(v) }

func (c *codec) Unmarshal(data []byte, v any) error {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("protobufcodec: decode into %T: it must be a pointer that is not nil", v)
	}
	return c.of(into.Type().Elem()).Unmarshal(data, v)
}

// of returns the codec of a type.
func (c *codec) of(t reflect.Type) provider.Codec {
	if isMessage(t) || isList(t) {
		return messages{}
	}
	return c.others
}

func isMessage(t reflect.Type) bool {
	return t != nil && t.Kind() == reflect.Pointer && t.Implements(reflect.TypeFor[proto.Message]())
}

func isList(t reflect.Type) bool { return t != nil && t.Kind() == reflect.Slice && isMessage(t.Elem()) }

// messages is the codec of messages and of lists of them. An encoded value is a fingerprint of 4 bytes, and
//
//	of a message   as many bytes as below
//	of a list      the number of its elements and one more, as a varint, or zero if it is nil; and for each element:
//	               the number of its bytes and one more, as a varint, or zero if it is nil; and its bytes
type messages struct{}

func (messages) Name() string { return "protobuf" }

func (messages) Marshal(v any) ([]byte, error) {
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		m, err := messageOf(list)
		if err != nil {
			return nil, err
		}
		data := make([]byte, fingerprintBytes)
		binary.BigEndian.PutUint32(data, fingerprint(m.ProtoReflect().Descriptor()))
		return appendMessage(data, m)
	}
	zero, err := messageOf(reflect.Zero(list.Type().Elem()))
	if err != nil {
		return nil, err
	}
	data := binary.BigEndian.AppendUint32(nil, fingerprint(zero.ProtoReflect().Descriptor()))
	if list.IsNil() {
		return binary.AppendUvarint(data, 0), nil
	}
	data = binary.AppendUvarint(data, uint64(list.Len())+1) //nolint:gosec // is no negative number
	for i := range list.Len() {
		m, err := messageOf(list.Index(i))
		if err != nil {
			return nil, err
		}
		if data, err = appendMessage(data, m); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// messageOf returns the message in v, which may be nil.
func messageOf(v reflect.Value) (proto.Message, error) {
	m, ok := reflect.TypeAssert[proto.Message](v)
	if !ok {
		return nil, fmt.Errorf("protobufcodec: %v is no message", v.Type())
	}
	return m, nil
}

func appendMessage(data []byte, m proto.Message) ([]byte, error) {
	if !m.ProtoReflect().IsValid() {
		return binary.AppendUvarint(data, 0), nil
	}
	if err := checkDepth(m.ProtoReflect()); err != nil {
		return nil, err
	}
	n := proto.Size(m)
	data = slices.Grow(data, binary.MaxVarintLen32+n)
	data = binary.AppendUvarint(data, uint64(n)+1) //nolint:gosec // is no negative number
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(data, m)
}

func (messages) Unmarshal(data []byte, v any) error {
	into := reflect.ValueOf(v).Elem()
	t := into.Type()
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	zero, err := messageOf(reflect.Zero(t))
	if err != nil {
		return err
	}
	if len(data) < fingerprintBytes || binary.BigEndian.Uint32(data) != fingerprint(zero.ProtoReflect().Descriptor()) {
		return fmt.Errorf("protobufcodec: not the encoding of a %v with these fields", t)
	}
	r := reader{rest: data[fingerprintBytes:]}
	if into.Kind() == reflect.Slice {
		r.list(into)
	} else {
		r.message(into)
	}
	if r.err == nil && len(r.rest) > 0 {
		return fmt.Errorf("protobufcodec: %d bytes after the value", len(r.rest))
	}
	return r.err
}

var errDamaged = errors.New("protobufcodec: damaged bytes")

// reader takes values from the front of rest. Once something is wrong, err is set.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) list(into reflect.Value) {
	n, isNil := r.length()
	if r.err != nil || isNil {
		into.SetZero()
		return
	}
	list := reflect.MakeSlice(into.Type(), n, n)
	for i := range n {
		if r.message(list.Index(i)); r.err != nil {
			return
		}
	}
	into.Set(list)
}

func (r *reader) message(into reflect.Value) {
	n, isNil := r.length()
	if r.err != nil || isNil {
		into.SetZero()
		return
	}
	v := reflect.New(into.Type().Elem())
	m, err := messageOf(v)
	if err == nil {
		err = proto.Unmarshal(r.rest[:n], m)
	}
	r.err = err
	r.rest = r.rest[n:]
	into.Set(v)
}

// length returns a number of bytes or of elements, at most as many as there are bytes, or that something is nil.
func (r *reader) length() (n int, isNil bool) {
	u, width := binary.Uvarint(r.rest)
	if width <= 0 || u > uint64(len(r.rest)-width)+1 { //nolint:gosec // is no negative number
		r.err = errDamaged
		return 0, false
	}
	r.rest = r.rest[width:]
	return int(u) - 1, u == 0 //nolint:gosec // is bounded
}

// Equal implements provider.Comparer.
func (messages) Equal(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.Kind() != reflect.Slice {
		return isEqual(x, y)
	}
	if x.IsNil() != y.IsNil() || x.Len() != y.Len() {
		return false
	}
	for i := range x.Len() {
		if !isEqual(x.Index(i), y.Index(i)) {
			return false
		}
	}
	return true
}

func isEqual(x, y reflect.Value) bool {
	a, errA := messageOf(x)
	b, errB := messageOf(y)
	return errA == nil && errB == nil && proto.Equal(a, b)
}
