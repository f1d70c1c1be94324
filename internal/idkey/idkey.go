// Package idkey writes the ids of a family as parts of keys. Different ids get different texts, the
// texts are readable, and to write one allocates nothing.
//
//	42                                42
//	"ada"                             ada
//	[4]byte{0xca, 0xfe, 0, 1}         cafe0001
//	struct{Tenant string; User int64} acme/42
//
// The parts of a struct are joined by slashes. A slash or a percent sign in a string of a struct is
// escaped, so a slash always ends a part. A type has a fixed number of parts, so two ids with one text
// have the same parts, and are equal. And the text of the first parts with a slash after each begins the
// texts of exactly those ids that have these parts: "acme/4/" does not begin "acme/42/…".
package idkey

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unsafe"
)

// Plan says how ids of one type are written. It does not change, and is safe for concurrent use.
type Plan struct {
	parts []part
	// fields is the number of fields of the struct; 0: the ids are no structs.
	fields int
}

// part is a part of an id that is written as one text.
type part struct {
	offset uintptr
	size   uintptr // of an array of bytes
	field  int     // the field of the id that the part belongs to
	kind   reflect.Kind
}

// New returns the plan for ids of type t. It returns an error if t has a part whose equality its bytes or
// digits do not decide, such as a pointer, an interface or a floating-point number.
func New(t reflect.Type) (*Plan, error) {
	p := new(Plan)
	if t.Kind() == reflect.Struct {
		p.fields = t.NumField()
	}
	if err := p.add(t, 0, 0, t.String()); err != nil {
		return nil, err
	}
	if len(p.parts) == 0 {
		return nil, fmt.Errorf("%v has no fields, so all ids are one", t)
	}
	return p, nil
}

// add adds the parts of t, which is at offset. depth is 0 for the id itself.
func (p *Plan) add(t reflect.Type, offset uintptr, depth int, path string) error {
	switch kind := t.Kind(); kind {
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		p.parts = append(p.parts, part{offset: offset, kind: kind})
		return nil
	case reflect.Array:
		return p.addArray(t, offset, depth, path)
	case reflect.Struct:
		return p.addFields(t, offset, depth, path)
	default:
		return fmt.Errorf("%s is a %v, which has no text of its own", path, t)
	}
}

func (p *Plan) addArray(t reflect.Type, offset uintptr, depth int, path string) error {
	element := t.Elem()
	if element.Kind() == reflect.Uint8 { // a UUID, for example
		p.parts = append(p.parts, part{offset: offset, size: t.Size(), kind: reflect.Array})
		return nil
	}
	const most = 64
	if t.Len() > most {
		return fmt.Errorf("%s has %d elements, of at most %d", path, t.Len(), most)
	}
	if depth == 0 && element.Kind() == reflect.String {
		p.fields = 1 // so that the strings are escaped
	}
	for i := range t.Len() {
		if err := p.add(element, offset+uintptr(i)*element.Size(), depth+1, fmt.Sprintf("%s[%d]", path, i)); err != nil { //nolint:gosec // i is not negative
			return err
		}
	}
	return nil
}

func (p *Plan) addFields(t reflect.Type, offset uintptr, depth int, path string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue // which == ignores, too
		}
		first := len(p.parts)
		if err := p.add(f.Type, offset+f.Offset, depth+1, path+"."+f.Name); err != nil {
			return err
		}
		for n := first; n < len(p.parts) && depth == 0; n++ {
			p.parts[n].field = i
		}
	}
	return nil
}

// Append appends the text of the id at id, which is of the plan's type.
func (p *Plan) Append(b []byte, id unsafe.Pointer) []byte {
	if len(p.parts) == 1 && p.fields == 0 && p.parts[0].kind == reflect.String {
		return append(b, *(*string)(id)...)
	}
	for i := range p.parts {
		if i > 0 {
			b = append(b, '/')
		}
		b = p.parts[i].append(b, id)
	}
	return b
}

// AppendLeading appends what the texts of exactly those ids begin with that equal the id at id in their
// first fields.
func (p *Plan) AppendLeading(b []byte, id unsafe.Pointer, fields int) ([]byte, error) {
	switch {
	case p.fields < 2:
		return b, errors.New("the ids have no fields of which some are the first")
	case fields < 1 || fields > p.parts[len(p.parts)-1].field: // a field without text does not count
		return b, fmt.Errorf("%d fields, of ids that have %d: must be at least 1 and less than that", fields, p.fields)
	}
	for i := range p.parts {
		if p.parts[i].field < fields {
			b = append(p.parts[i].append(b, id), '/')
		}
	}
	return b, nil
}

// append appends the text of the part of the id at id.
func (q *part) append(b []byte, id unsafe.Pointer) []byte {
	at := unsafe.Add(id, q.offset)
	switch q.kind {
	case reflect.String:
		return appendEscaped(b, *(*string)(at))
	case reflect.Array:
		return hex.AppendEncode(b, unsafe.Slice((*byte)(at), q.size))
	case reflect.Bool:
		return strconv.AppendBool(b, *(*bool)(at))
	case reflect.Int:
		return strconv.AppendInt(b, int64(*(*int)(at)), 10)
	case reflect.Int8:
		return strconv.AppendInt(b, int64(*(*int8)(at)), 10)
	case reflect.Int16:
		return strconv.AppendInt(b, int64(*(*int16)(at)), 10)
	case reflect.Int32:
		return strconv.AppendInt(b, int64(*(*int32)(at)), 10)
	case reflect.Int64:
		return strconv.AppendInt(b, *(*int64)(at), 10)
	default:
		return strconv.AppendUint(b, q.unsigned(at), 10)
	}
}

func (q *part) unsigned(at unsafe.Pointer) uint64 {
	switch q.kind {
	case reflect.Uint8:
		return uint64(*(*uint8)(at))
	case reflect.Uint16:
		return uint64(*(*uint16)(at))
	case reflect.Uint32:
		return uint64(*(*uint32)(at))
	case reflect.Uint64:
		return *(*uint64)(at)
	case reflect.Uintptr:
		return uint64(*(*uintptr)(at))
	default:
		return uint64(*(*uint)(at))
	}
}

// appendEscaped appends s without a slash. "%" begins an escape, so it is escaped itself.
func appendEscaped(b []byte, s string) []byte {
	for {
		i := strings.IndexAny(s, "/%")
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		if s[i] == '/' {
			b = append(b, "%2F"...)
		} else {
			b = append(b, "%25"...)
		}
		s = s[i+1:]
	}
}
