package redisprovider

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A frame is what a Redis key holds. Its bytes are
//
//	magic      2 bytes, 0xC1 'r'; 0xC1 begins no UTF-8 text, and no JSON
//	version    1 byte, 1
//	kind       1 byte
//	flags      1 byte; bit 0: the entry has a fresh-until; bit 1: the frame is
//	           bound to a master; the others are zero
//	run        if bit 1 is set: 16 bytes of that one's identity, which the server's
//	           side puts in and takes account of, see lua/fence_on.lua
//	freshUntil if bit 0 is set: varint of the seconds since 1970, uvarint of the
//	           nanoseconds
//	loadTime   varint of the nanoseconds
//
// and, if the kind is value,
//
//	codec      uvarint of the length, 1 to 32, and the codec's name
//	type       uvarint of the length, and the name of the value's type
//	payload    uvarint of the length, and the encoded value
//
// A lease has, after head and run, its token and nothing else.
//
// Kind and version stand at fixed offsets so that a script can tell frames apart
// by their first four bytes. Other kinds may come, and readers that do not know
// them take them for undecodable; so may versions. Every frame has exactly one
// form, and whatever is not that form is refused: varints are the shortest
// possible, and nothing follows the last field.
type frame struct {
	kind       kind
	freshUntil time.Time
	loadTime   time.Duration
	codec      string
	typeName   string
	payload    []byte // of a lease: its token
	run        string // that it is bound to; empty: none
}

// kind says what a frame is. Zero is none.
type kind byte

const (
	kindValue  kind = 1 // an entry with a value
	kindAbsent kind = 2 // an entry without one: the source has nothing
	kindLease  kind = 3 // no entry, but the right to store one
)

const (
	frameMagic0  = 0xC1
	frameMagic1  = 'r'
	frameVersion = 1
	frameHead    = 5 // magic, version, kind, flags

	flagFresh = 1 << 0
	flagBound = 1 << 1
	runBytes  = 16

	// frameOverhead is at least what a frame adds to codec, type and payload.
	frameOverhead = frameHead + 6*binary.MaxVarintLen64
)

// appendFrame appends the bytes of f to dst. A codec's name that is longer than
// allowed was refused by [New].
func appendFrame(dst []byte, f frame) []byte {
	var flags byte
	if !f.freshUntil.IsZero() {
		flags |= flagFresh
	}
	if f.run != "" {
		flags |= flagBound
	}
	dst = append(dst, frameMagic0, frameMagic1, frameVersion, byte(f.kind), flags)
	dst = append(dst, f.run...)
	if f.kind == kindLease {
		return append(dst, f.payload...)
	}
	if flags&flagFresh != 0 {
		dst = binary.AppendVarint(dst, f.freshUntil.Unix())
		dst = binary.AppendUvarint(dst, uint64(f.freshUntil.Nanosecond())) //nolint:gosec // never negative
	}
	dst = binary.AppendVarint(dst, int64(f.loadTime))
	if f.kind != kindValue {
		return dst
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(f.codec))), f.codec...)
	dst = append(binary.AppendUvarint(dst, uint64(len(f.typeName))), f.typeName...)
	return append(binary.AppendUvarint(dst, uint64(len(f.payload))), f.payload...)
}

// encodeFrame returns the bytes of f.
func encodeFrame(f frame) []byte {
	return appendFrame(make([]byte, 0, frameOverhead+len(f.codec)+len(f.typeName)+len(f.payload)), f)
}

// decodeFrame is the inverse of encodeFrame. The payload is a part of data. It
// never panics, whatever data is.
func decodeFrame(data []byte) (frame, error) {
	if len(data) < frameHead || data[0] != frameMagic0 || data[1] != frameMagic1 {
		return frame{}, errors.New("not a frame")
	}
	if data[2] != frameVersion {
		return frame{}, fmt.Errorf("a frame of unknown version %d", data[2])
	}
	f := frame{kind: kind(data[3])}
	r := frameReader{rest: data[frameHead:]}
	flags := data[frameHead-1]
	if flags&flagBound != 0 {
		flags &^= flagBound
		f.run = r.run()
	}
	switch f.kind {
	case kindValue, kindAbsent:
	case kindLease:
		if f.payload = r.rest; flags != 0 || r.bad {
			return frame{}, errors.New("a damaged lease")
		}
		return f, nil
	default:
		return frame{}, fmt.Errorf("a frame of unknown kind %d", f.kind)
	}
	f.freshUntil = r.freshUntil(flags)
	f.loadTime = time.Duration(r.varint())
	if f.kind == kindValue {
		f.codec = string(r.bytes(1, maxCodecName))
		f.typeName = string(r.bytes(0, len(r.rest)))
		f.payload = r.bytes(0, len(r.rest))
	}
	if r.bad || len(r.rest) != 0 {
		return frame{}, errors.New("a damaged frame")
	}
	return f, nil
}

// A frameReader takes fields off the beginning of rest. After the first one that
// is not there it is bad, and all further fields are zero.
type frameReader struct {
	rest []byte
	bad  bool
}

// run reads the identity of a run.
func (r *frameReader) run() string {
	if len(r.rest) < runBytes {
		r.bad = true
		return ""
	}
	run := string(r.rest[:runBytes])
	r.rest = r.rest[runBytes:]
	return run
}

// freshUntil reads the time that flags announce.
func (r *frameReader) freshUntil(flags byte) time.Time {
	if flags&^flagFresh != 0 {
		r.bad = true
	}
	if r.bad || flags == 0 {
		return time.Time{}
	}
	seconds, nanoseconds := r.varint(), r.uvarint()
	if nanoseconds >= uint64(time.Second) {
		r.bad = true
		return time.Time{}
	}
	t := time.Unix(seconds, int64(nanoseconds))
	r.bad = r.bad || t.IsZero() // that has no flag
	return t
}

// varint reads a signed number, in the zigzag form of package binary.
func (r *frameReader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1) //nolint:gosec // reinterprets the bits
}

// uvarint reads a number in its shortest form.
func (r *frameReader) uvarint() uint64 {
	if r.bad {
		return 0
	}
	u, n := binary.Uvarint(r.rest)
	if n <= 0 || (n > 1 && r.rest[n-1] == 0) {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return u
}

// bytes reads a length from least to most and that many bytes.
func (r *frameReader) bytes(least, most int) []byte {
	n := r.uvarint()
	if r.bad || n < uint64(least) || n > uint64(most) || n > uint64(len(r.rest)) { //nolint:gosec // never negative
		r.bad = true
		return nil
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

// leaseFrame returns the bytes of a lease.
func leaseFrame(token string) []byte {
	return encodeFrame(frame{kind: kindLease, payload: []byte(token)})
}

// bind announces that data, a frame, will be bound to a run of a server. The
// scripts put in which.
func bind(data []byte) []byte {
	data[frameHead-1] |= flagBound
	return data
}
