// Package msgpackcodec is a codec for MessagePack, for stores outside the process:
//
//	store, err := redisprovider.New(client, redisprovider.Options{Codec: msgpackcodec.New()})
//
// It uses github.com/vmihailenco/msgpack/v5, and its struct tag "msgpack". Structs are encoded as arrays, without the
// names of their fields, and integers in as few bytes as they need. A process whose struct has other fields does not read
// such an entry: its type has another shape ([provider.TypeShape]).
package msgpackcodec

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/readthrough/readthrough/internal/cycles"
	"github.com/readthrough/readthrough/provider"
)

// New returns the codec, whose name is "msgpack". It is safe for concurrent use.
//
// Of these values, something would be lost, so a store does not keep them and reports it: an unexported field, a field
// with the tag msgpack:"-", an interface as a field, and most integers in any or in map[string]any, which would
// come back with another type. A value that contains itself cannot be encoded.
func New() provider.Codec { return &codec{} }

type codec struct {
	encoders, decoders sync.Pool // of *msgpack.Encoder and *decoder
}

// decoder reads from a reader of bytes, which it would have to make otherwise.
type decoder struct {
	*msgpack.Decoder

	bytes *bytes.Reader
}

func (*codec) Name() string { return "msgpack" }

func (c *codec) Marshal(v any) ([]byte, error) {
	if err := cycles.Check(v); err != nil {
		return nil, fmt.Errorf("msgpackcodec: %w", err)
	}
	e, ok := c.encoders.Get().(*msgpack.Encoder)
	if !ok {
		e = msgpack.NewEncoder(nil)
	}
	var b bytes.Buffer
	e.Reset(&b)
	e.UseArrayEncodedStructs(true)
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		return nil, err // the encoder is not used again: nor is it after a panic
	}
	e.Reset(nil)
	c.encoders.Put(e)
	return b.Bytes(), nil
}

func (c *codec) Unmarshal(data []byte, v any) error {
	if into := reflect.ValueOf(v); into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("msgpackcodec: decode into %T: it must be a pointer that is not nil", v)
	}
	if err := scan(data); err != nil {
		return err
	}
	d, ok := c.decoders.Get().(*decoder)
	if !ok {
		d = &decoder{msgpack.NewDecoder(nil), new(bytes.Reader)}
	}
	d.bytes.Reset(data)
	d.Reset(d.bytes)
	if err := d.Decode(v); err != nil {
		return err
	}
	rest := d.bytes.Len()
	d.bytes.Reset(nil)
	c.decoders.Put(d)
	if rest > 0 {
		return fmt.Errorf("msgpackcodec: %d bytes that the type has not read", rest)
	}
	return nil
}
