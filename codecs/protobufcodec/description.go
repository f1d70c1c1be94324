package protobufcodec

import (
	"fmt"
	"hash/fnv"
	"io"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/readthrough/readthrough/internal/cycles"
)

const fingerprintBytes = 4

// fingerprints are those of the messages that a program stores.
var fingerprints sync.Map //nolint:gochecknoglobals // what it remembers does not change

// fingerprint returns a hash of the fields of a message and of the messages in it.
func fingerprint(d protoreflect.MessageDescriptor) uint32 {
	if known, ok := fingerprints.Load(d); ok {
		if sum, ok := known.(uint32); ok {
			return sum
		}
	}
	hash := fnv.New32a()
	describe(hash, d, make(map[protoreflect.FullName]bool))
	fingerprints.Store(d, hash.Sum32())
	return hash.Sum32()
}

// describe writes the fields of a message, unless it is one of seen.
func describe(w io.Writer, d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	fmt.Fprintf(w, "%s{", d.FullName()) //nolint:errcheck // a hash does not fail
	if !seen[d.FullName()] {
		seen[d.FullName()] = true
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			fmt.Fprintf(w, "%d %s %v %v ", f.Number(), f.Name(), f.Kind(), f.Cardinality()) //nolint:errcheck // a hash does not fail
			if inner := f.Message(); inner != nil {
				describe(w, inner, seen)
			}
		}
	}
	fmt.Fprint(w, "}") //nolint:errcheck // a hash does not fail
}

// recursive remembers which messages can contain themselves.
var recursive sync.Map //nolint:gochecknoglobals // what it remembers does not change

func isRecursive(d protoreflect.MessageDescriptor) bool {
	if known, ok := recursive.Load(d); ok {
		return known == true
	}
	is := recurs(d, make(map[protoreflect.FullName]bool))
	recursive.Store(d, is)
	return is
}

// recurs reports whether a message may contain itself, or one of under, which contain it.
func recurs(d protoreflect.MessageDescriptor, under map[protoreflect.FullName]bool) bool {
	if under[d.FullName()] {
		return true
	}
	under[d.FullName()] = true
	defer delete(under, d.FullName())
	for i := range d.Fields().Len() {
		if inner := d.Fields().Get(i).Message(); inner != nil && recurs(inner, under) {
			return true
		}
	}
	return false
}

// checkDepth returns an error if a message is nested deeper than package proto decodes, as one is that contains itself.
func checkDepth(m protoreflect.Message) error {
	if !isRecursive(m.Descriptor()) || depth(m, cycles.MaxDepth) {
		return nil
	}
	return fmt.Errorf("protobufcodec: a %s is nested more than %d deep, or contains itself", m.Descriptor().FullName(), cycles.MaxDepth)
}

// depth reports whether the messages in m are at most left deep.
func depth(m protoreflect.Message, left int) (is bool) {
	if left == 0 {
		return false
	}
	is = true
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				is = depth(v.Message(), left-1)
				return is
			})
		case f.IsList() && f.Message() != nil:
			for i := 0; i < v.List().Len() && is; i++ {
				is = depth(v.List().Get(i).Message(), left-1)
			}
		case !f.IsMap() && !f.IsList() && f.Message() != nil:
			is = depth(v.Message(), left-1)
		}
		return is
	})
	return is
}
