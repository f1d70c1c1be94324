package redisprovider

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A frame is the content of a Redis key. All numbers are big-endian. It begins with
//
//	magic      2 bytes, 0xC1 'r'; 0xC1 begins no UTF-8 text, and no JSON
//	version    1 byte, 2
//	kind       1 byte
//	flags      1 byte; bit 0: the frame is bound to a master; bit 1: the entry is
//	           leased; the others are zero
//	run        if bit 0 is set: 16 bytes of the identity of that master; the scripts
//	           write and compare it, see lua/fence_on.lua
//
// In a lease, 32 bytes of its token follow, and nothing else. In an entry, which is a
// value or an absence, these follow:
//
//	lease      if bit 1 is set: the token of the lease that refreshes the entry, 32
//	           bytes, and its end, 16 digits: milliseconds on the clock of the server
//	freshUntil 12 bytes, a time
//	loadedAt   12 bytes, a time
//	loadTime   8 bytes, signed, nanoseconds
//	validator  4 bytes of its length
//
// and then the validator and, if the kind is value,
//
//	codec      1 byte of its length, 1 to 32
//	type       4 bytes of its length
//	payload    4 bytes of its length
//	           the codec's name, the name of the value's type, the encoded value
//
// A time is 8 bytes, signed, of the seconds since 1970, and 4 bytes of the
// nanoseconds. The zero time is year 1, as in package time.
//
// Scripts tell frames apart by their first bytes. They lease, refresh and extend an
// entry by its offsets, see lua/frame.lua. Only the validator and the fields behind it
// have variable sizes, and an extension keeps all bytes behind the validator. Later
// versions may add kinds and versions; a reader that does not know them treats the
// frame as undecodable. Every frame has exactly one encoding: any other form is
// refused, and so are bytes after the last field.
type frame struct {
	kind       kind
	run        string // the run that the frame is bound to; empty: none
	lease      string // of an entry that is being refreshed: the token of the lease and its end
	freshUntil time.Time
	loadedAt   time.Time
	loadTime   time.Duration
	validator  string
	codec      string
	typeName   string
	payload    []byte // of a value: the encoded value; of a lease: its token
}

// kind says what a frame is. Zero is not a kind.
type kind byte

const (
	kindValue  kind = 1 // an entry with a value
	kindAbsent kind = 2 // an entry without a value: the source has nothing
	kindLease  kind = 3 // not an entry: the right to store one
)

const (
	frameMagic0  = 0xC1
	frameMagic1  = 'r'
	frameVersion = 2
	frameHead    = 5 // magic, version, kind, flags

	flagBound  = 1 << 0
	flagLeased = 1 << 1

	runBytes   = 16
	tokenBytes = 32
	endBytes   = 16
	timeBytes  = 12

	// frameOverhead is the most that a frame needs besides its validator, codec, type
	// and payload.
	frameOverhead = frameHead + runBytes + tokenBytes + endBytes + 2*timeBytes + 8 + 4 + 1 + 4 + 4
)

// appendFrame appends the bytes of f to dst. [New] has checked the length of the
// codec's name.
func appendFrame(dst []byte, f frame) []byte {
	var flags byte
	if f.run != "" {
		flags |= flagBound
	}
	if f.lease != "" {
		flags |= flagLeased
	}
	dst = append(dst, frameMagic0, frameMagic1, frameVersion, byte(f.kind), flags)
	dst = append(dst, f.run...)
	if f.kind == kindLease {
		return append(dst, f.payload...)
	}
	dst = append(dst, f.lease...)
	dst = appendTime(dst, f.freshUntil)
	dst = appendTime(dst, f.loadedAt)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.loadTime)) //nolint:gosec // reinterprets the bits
	dst = appendLength(dst, len(f.validator))
	dst = append(dst, f.validator...)
	if f.kind != kindValue {
		return dst
	}
	dst = append(dst, byte(len(f.codec)))
	dst = appendLength(dst, len(f.typeName))
	dst = appendLength(dst, len(f.payload))
	dst = append(dst, f.codec...)
	dst = append(dst, f.typeName...)
	return append(dst, f.payload...)
}

// appendTime appends a time in the form of a frame.
func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Unix()))        //nolint:gosec // reinterprets the bits
	return binary.BigEndian.AppendUint32(dst, uint32(t.Nanosecond())) //nolint:gosec // below a second
}

// appendLength appends a length. [Provider.frameOf] has checked it.
func appendLength(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // at most limitValueBytes
}

// encodeFrame returns the bytes of f.
func encodeFrame(f frame) []byte {
	size := frameOverhead + len(f.validator) + len(f.codec) + len(f.typeName) + len(f.payload)
	return appendFrame(make([]byte, 0, size), f)
}

// decodeFrame is the inverse of encodeFrame. The payload is a part of data.
// decodeFrame never panics, whatever data holds.
func decodeFrame(data []byte) (frame, error) {
	if len(data) < frameHead || data[0] != frameMagic0 || data[1] != frameMagic1 {
		return frame{}, errors.New("not a frame")
	}
	if data[2] != frameVersion {
		return frame{}, fmt.Errorf("a frame of unknown version %d", data[2])
	}
	f := frame{kind: kind(data[3])}
	flags := data[frameHead-1]
	r := frameReader{rest: data[frameHead:], bad: flags&^(flagBound|flagLeased) != 0}
	if flags&flagBound != 0 {
		f.run = string(r.bytes(runBytes))
	}
	switch f.kind {
	case kindLease:
		f.payload = r.bytes(tokenBytes)
		r.bad = r.bad || flags&flagLeased != 0
	case kindValue, kindAbsent:
		r.entry(&f, flags)
	default:
		return frame{}, fmt.Errorf("a frame of unknown kind %d", f.kind)
	}
	if r.bad || len(r.rest) != 0 {
		return frame{}, errors.New("a damaged frame")
	}
	return f, nil
}

// A frameReader takes fields from the front of rest. Once a field is missing, bad is
// set, and all later fields are zero.
type frameReader struct {
	rest []byte
	bad  bool
}

// entry reads the fields of an entry that follow the run.
func (r *frameReader) entry(f *frame, flags byte) {
	if flags&flagLeased != 0 {
		f.lease = r.lease()
	}
	f.freshUntil = r.time()
	f.loadedAt = r.time()
	f.loadTime = time.Duration(r.uint64()) //nolint:gosec // reinterprets the bits
	f.validator = string(r.bytes(int(r.uint32())))
	if f.kind != kindValue {
		return
	}
	codec, typeName, payload := int(r.byte()), int(r.uint32()), int(r.uint32())
	r.bad = r.bad || codec < 1 || codec > maxCodecName
	f.codec = string(r.bytes(codec))
	f.typeName = string(r.bytes(typeName))
	f.payload = r.bytes(payload)
}

// lease reads the lease of an entry.
func (r *frameReader) lease() string {
	lease := r.bytes(tokenBytes + endBytes)
	if r.bad {
		return ""
	}
	for _, digit := range lease[tokenBytes:] {
		r.bad = r.bad || digit < '0' || digit > '9'
	}
	return string(lease)
}

// time reads a time.
func (r *frameReader) time() time.Time {
	seconds, nanoseconds := r.uint64(), r.uint32()
	if r.bad || nanoseconds >= uint32(time.Second) {
		r.bad = true
		return time.Time{}
	}
	t := time.Unix(int64(seconds), int64(nanoseconds)) //nolint:gosec // reinterprets the bits
	if t.IsZero() {
		return time.Time{}
	}
	return t
}

func (r *frameReader) byte() byte {
	if field := r.bytes(1); !r.bad {
		return field[0]
	}
	return 0
}

func (r *frameReader) uint32() uint32 {
	if field := r.bytes(4); !r.bad { //nolint:mnd // bytes
		return binary.BigEndian.Uint32(field)
	}
	return 0
}

func (r *frameReader) uint64() uint64 {
	if field := r.bytes(8); !r.bad { //nolint:mnd // bytes
		return binary.BigEndian.Uint64(field)
	}
	return 0
}

// bytes reads n bytes. Where int has 32 bits, a length may be negative.
func (r *frameReader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
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

// bind sets the flag of data, a frame, that says that it is bound to a run of a
// server. The scripts insert the run.
func bind(data []byte) []byte {
	data[frameHead-1] |= flagBound
	return data
}
