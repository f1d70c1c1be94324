package msgpackcodec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/readthrough/readthrough/internal/cycles"
)

var errShort = errors.New("msgpackcodec: the bytes end within a value")

// scan returns an error unless data is one value of MessagePack, which is nested at most [cycles.MaxDepth] deep, with
// nothing behind it. The decoder of the library calls itself for each value inside of another, and would overflow the
// stack, which ends the process. scan does not call itself. It makes sure of lengths, too, before anybody allocates by
// them: each element takes a byte at least.
func scan(data []byte) error {
	left := []uint64{1} // how many values are missing, of each value that the scan is in
	for len(left) > 0 {
		if left[len(left)-1] == 0 {
			left = left[:len(left)-1]
			continue
		}
		left[len(left)-1]--
		head, err := headOf(data)
		if err != nil {
			return err
		}
		if uint64(len(data)) < head.size || uint64(len(data))-head.size < head.elements {
			return errShort
		}
		data = data[head.size:]
		if head.elements == 0 {
			continue
		}
		if len(left) > cycles.MaxDepth {
			return fmt.Errorf("msgpackcodec: the value is nested more than %d deep", cycles.MaxDepth)
		}
		left = append(left, head.elements)
	}
	if len(data) > 0 {
		return fmt.Errorf("msgpackcodec: %d bytes after the value", len(data))
	}
	return nil
}

// head is what the first bytes of a value say of it.
type head struct {
	size     uint64 // in bytes, without elements
	elements uint64 // of an array or a map: values that follow
}

func headOf(data []byte) (head, error) {
	if len(data) == 0 {
		return head{}, errShort
	}
	c := data[0]
	switch {
	case msgpcode.IsFixedNum(c):
		return head{size: 1}, nil
	case msgpcode.IsFixedMap(c):
		return head{1, 2 * uint64(c&msgpcode.FixedMapMask)}, nil
	case msgpcode.IsFixedArray(c):
		return head{1, uint64(c & msgpcode.FixedArrayMask)}, nil
	case msgpcode.IsFixedString(c):
		return head{size: 1 + uint64(c&msgpcode.FixedStrMask)}, nil
	}
	if size, ok := fixedSize(c); ok {
		return head{size: size}, nil
	}
	return variable(c, data[1:])
}

// fixedSize returns how many bytes the values have that begin with c, if all have as many.
func fixedSize(c byte) (size uint64, ok bool) {
	switch c {
	case msgpcode.Nil, msgpcode.False, msgpcode.True:
		return 1, true
	case msgpcode.Uint8, msgpcode.Int8:
		return 2, true
	case msgpcode.Uint16, msgpcode.Int16, msgpcode.FixExt1:
		return 3, true
	case msgpcode.FixExt2:
		return 4, true
	case msgpcode.Uint32, msgpcode.Int32, msgpcode.Float:
		return 5, true
	case msgpcode.FixExt4:
		return 6, true
	case msgpcode.Uint64, msgpcode.Int64, msgpcode.Double:
		return 9, true
	case msgpcode.FixExt8:
		return 10, true
	case msgpcode.FixExt16:
		return 18, true
	default:
		return 0, false
	}
}

// variable returns the head of a value whose length comes after c.
func variable(c byte, data []byte) (head, error) {
	var width int
	switch c {
	case msgpcode.Str8, msgpcode.Bin8, msgpcode.Ext8:
		width = 1
	case msgpcode.Str16, msgpcode.Bin16, msgpcode.Ext16, msgpcode.Array16, msgpcode.Map16:
		width = 2
	case msgpcode.Str32, msgpcode.Bin32, msgpcode.Ext32, msgpcode.Array32, msgpcode.Map32:
		width = 4
	default:
		return head{}, fmt.Errorf("msgpackcodec: no value begins with %#x", c)
	}
	if len(data) < width {
		return head{}, errShort
	}
	var wide [8]byte
	copy(wide[8-width:], data[:width])
	n, size := binary.BigEndian.Uint64(wide[:]), 1+uint64(width) //nolint:gosec // is small
	switch c {
	case msgpcode.Array16, msgpcode.Array32:
		return head{size, n}, nil
	case msgpcode.Map16, msgpcode.Map32:
		return head{size, 2 * n}, nil
	case msgpcode.Ext8, msgpcode.Ext16, msgpcode.Ext32:
		return head{size: size + 1 + n}, nil // its type
	default:
		return head{size: size + n}, nil
	}
}
