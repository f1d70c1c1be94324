package provider

import (
	"encoding"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"reflect"
	"strings"
	"sync"
)

// TypeShape returns the name under which [Encode] keeps values of type t: its [TypeName], and if the type has
// structs in it, "#" and 8 digits that stand for their fields. Two versions of a struct with different fields have
// different shapes, so a process does not decode what another version has stored, with zeros in the fields that the
// other one did not know.
//
// The shape has the exported and the embedded fields of all structs, in their order, with their kinds and the tags
// of codecs. It has no names of nested types, and does not look into types that encode themselves, such as
// [time.Time].
func TypeShape(t reflect.Type) string {
	if known, ok := shapes.Load(t); ok {
		if shape, ok := known.(string); ok {
			return shape
		}
	}
	shape := typeShape(t)
	shapes.Store(t, shape)
	return shape
}

// shapes are those of the types that were asked for: as many as a program stores.
var shapes sync.Map //nolint:gochecknoglobals // what it remembers does not change

func typeShape(t reflect.Type) string {
	name := TypeName(t)
	if t == nil {
		return name
	}
	hash := fnv.New32a()
	w := shapeWalk{to: hash, seen: make(map[reflect.Type]int)}
	w.visit(t)
	if !w.structs {
		return name
	}
	return fmt.Sprintf("%s#%08x", name, hash.Sum32())
}

// shapeWalk is a walk over a type.
type shapeWalk struct {
	to      io.Writer // a hash: it does not fail
	seen    map[reflect.Type]int
	structs bool // there was a struct with fields
}

func (w *shapeWalk) write(format string, args ...any) {
	fmt.Fprintf(w.to, format, args...) //nolint:errcheck // a hash does not fail
}

func (w *shapeWalk) visit(t reflect.Type) {
	if encodesItself(t) {
		w.write("(%s)", t)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		w.write("*")
		w.visit(t.Elem())
	case reflect.Slice:
		w.write("[]")
		w.visit(t.Elem())
	case reflect.Array:
		w.write("[%d]", t.Len())
		w.visit(t.Elem())
	case reflect.Map:
		w.write("map ")
		w.visit(t.Key())
		w.write(" ")
		w.visit(t.Elem())
	case reflect.Struct:
		w.visitFields(t)
	default:
		w.write("%v", t.Kind())
	}
}

// visitFields writes the fields of a struct, or if the walk has been there, which struct it is.
func (w *shapeWalk) visitFields(t reflect.Type) {
	if n, ok := w.seen[t]; ok {
		w.write("@%d", n)
		return
	}
	w.seen[t] = len(w.seen)
	w.write("{")
	for f := range t.Fields() {
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		w.structs = true
		w.write("%q %v ", f.Name, f.Anonymous)
		for _, codec := range []string{"json", "msgpack", "cbor", "bson", "protobuf", "xml", "yaml"} {
			if tag, ok := f.Tag.Lookup(codec); ok {
				w.write("%s:%q ", codec, tag)
			}
		}
		w.visit(f.Type)
		w.write(";")
	}
	w.write("}")
}

// encodesItself reports whether values of t, or pointers to them, have methods that encode them.
func encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Name() == "" && t.Kind() == reflect.Pointer {
		return false
	}
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Marshaler]()) || p.Implements(reflect.TypeFor[encoding.TextMarshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.BinaryMarshaler]()) || p.Implements(reflect.TypeFor[gobEncoder]())
}

// gobEncoder is gob.GobEncoder, whose package nobody else needs.
type gobEncoder interface{ GobEncode() ([]byte, error) }

// Holds reports whether e was encoded from a value of type t, of the same shape. A name without a shape, as a store
// may keep it, is compared as a name.
func (e Encoded) Holds(t reflect.Type) bool {
	if !hasShape(e.Type) {
		return e.Type == TypeName(t)
	}
	return e.Type == TypeShape(t)
}

// hasShape reports whether a name is one of TypeShape with a shape.
func hasShape(name string) bool {
	const digits = "0123456789abcdef"
	i := strings.LastIndexByte(name, '#')
	return i >= 0 && len(name)-i == 9 && strings.Trim(name[i+1:], digits) == ""
}
