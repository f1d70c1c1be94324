// Package zstdcodec compresses what another codec has encoded, with zstd (RFC 8878), if it is large:
//
//	codec, err := zstdcodec.New(provider.JSON(), zstdcodec.Options{})
//	store, err := redisprovider.New(client, redisprovider.Options{Codec: codec})
package zstdcodec

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/readthrough/readthrough/provider"
)

// The defaults of [Options].
const (
	DefaultAbove    = 1 << 10
	DefaultLevel    = 1
	DefaultMaxBytes = 64 << 20
)

const (
	maxLevel    = 22
	maxKept     = 1 << 20 // the largest buffer that is kept for the next value
	maxWindow   = 8 << 20
	leastWindow = 1 << 10
)

// Options configure [New]. The zero value is useful.
type Options struct {
	// Above is the size in bytes from which on an encoded value is compressed, such as 4096. A value that does not
	// become smaller is kept as it is. Zero means [DefaultAbove], 1 KiB. Negative values are errors.
	Above int
	// Level is how hard zstd tries, from 1 (fast) to 22 (small), such as 3. Values of every level can be read by
	// processes with any other. Zero means [DefaultLevel], 1. Other values are errors.
	Level int
	// MaxBytes is the most bytes that a value may have before it is compressed, such as 8<<20. A larger one is not
	// stored, and is reported like one that the store finds too large. It also bounds the memory that damaged or
	// hostile bytes can make one read use. Processes that share a store should use the same. Zero means
	// [DefaultMaxBytes], 64 MiB. Negative values and less than 1 KiB are errors.
	MaxBytes int

	_ struct{}
}

// New returns a codec that compresses what inner encodes. Its name is "zstd+" and the name of inner, such as
// "zstd+json": a process with another codec does not read its entries, and loads. It is safe for concurrent use if
// inner is. The error says which option is wrong.
//
// The codec has a compressor and a decompressor for each processor, which take up to some megabytes. So make one
// for each store and not for each call. It has no goroutine, and need not be closed.
func New(inner provider.Codec, options Options) (provider.Codec, error) {
	if err := options.validate(inner); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(options.Level)), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(window(options.MaxBytes)))
	if err != nil {
		return nil, fmt.Errorf("zstdcodec: %w", err)
	}
	// Frames of a larger window come from nobody here; how large a value may be is another bound.
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(options.MaxBytes)), zstd.WithDecoderMaxWindow(maxWindow)) //nolint:gosec // is positive
	if err != nil {
		return nil, fmt.Errorf("zstdcodec: %w", err)
	}
	return &codec{inner: inner, name: "zstd+" + inner.Name(), options: options, encoder: encoder, decoder: decoder}, nil
}

func (o Options) validate(inner provider.Codec) error {
	var errs []error
	if inner == nil {
		errs = append(errs, errors.New("zstdcodec: New: inner is nil: give it the codec whose bytes are to be compressed, such as provider.JSON()"))
	}
	if o.Above < 0 {
		errs = append(errs, fmt.Errorf("zstdcodec: Options.Above is %d, must not be negative", o.Above))
	}
	if o.Level < 0 || o.Level > maxLevel {
		errs = append(errs, fmt.Errorf("zstdcodec: Options.Level is %d, must be 1 to %d, or 0 for %d", o.Level, maxLevel, DefaultLevel))
	}
	if o.MaxBytes < 0 || o.MaxBytes > 0 && o.MaxBytes < leastWindow {
		errs = append(errs, fmt.Errorf("zstdcodec: Options.MaxBytes is %d, must be at least %d, or 0 for %d", o.MaxBytes, leastWindow, DefaultMaxBytes))
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Above == 0 {
		o.Above = DefaultAbove
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	return o
}

// window returns the size of the window of the compressor: a power of two.
func window(most int) int {
	size := leastWindow
	for size < most && size < maxWindow {
		size *= 2
	}
	return size
}

type codec struct {
	inner   provider.Codec
	name    string
	options Options
	encoder *zstd.Encoder
	decoder *zstd.Decoder
	buffers sync.Pool // of *[]byte, for what is decompressed
}

// The last byte of an encoded value.
const (
	isPlain = 0
	isZstd  = 1
)

func (c *codec) Name() string { return c.name }

func (c *codec) Inner(any) provider.Codec { return c.inner }

func (c *codec) Marshal(v any) ([]byte, error) {
	data, err := c.inner.Marshal(v)
	if err != nil {
		return nil, err
	}
	return c.Wrap(data)
}

func (c *codec) Wrap(data []byte) ([]byte, error) {
	if len(data) > c.options.MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes before they are compressed, at most %d, zstdcodec.Options.MaxBytes", provider.ErrTooLarge, len(data), c.options.MaxBytes)
	}
	if len(data) >= c.options.Above {
		const most = 64 // of the head of a frame, and more than one block needs if it is small
		packed := c.encoder.EncodeAll(data, make([]byte, 0, len(data)/2+most))
		if len(packed) < len(data) {
			return append(packed, isZstd), nil
		}
	}
	return append(data, isPlain), nil
}

func (c *codec) Unmarshal(data []byte, v any) error {
	if len(data) == 0 {
		return errors.New("zstdcodec: no bytes")
	}
	body, mark := data[:len(data)-1:len(data)-1], data[len(data)-1]
	switch mark {
	case isPlain:
		return c.inner.Unmarshal(body, v)
	case isZstd:
		return c.unpack(body, v)
	default:
		return fmt.Errorf("zstdcodec: unknown mark %d", mark)
	}
}

// unpack decompresses data, and decodes it. No codec keeps what it decodes, so the next value gets the buffer.
func (c *codec) unpack(data []byte, v any) error {
	buffer, ok := c.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	plain, err := c.decoder.DecodeAll(data, (*buffer)[:0])
	if cap(plain) <= maxKept {
		*buffer = plain
		defer c.buffers.Put(buffer)
	}
	if err != nil {
		return fmt.Errorf("zstdcodec: %w", err)
	}
	return c.inner.Unmarshal(plain, v)
}
