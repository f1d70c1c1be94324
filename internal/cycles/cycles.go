// Package cycles finds values that have no end: an encoder without such a check overflows its stack,
// which ends the process. It uses the standard library only.
package cycles

import (
	"errors"
	"reflect"
	"sync"
	"unsafe"
)

// MaxDepth is how many pointers, slices, maps and interfaces of a value may be inside of each other. Package
// encoding/json reads as many.
const MaxDepth = 10_000

var (
	errCycle = errors.New("the value contains itself")
	errDeep  = errors.New("the value is nested more than 10,000 deep")
)

// Check returns an error if v contains itself, or is nested more than [MaxDepth] deep. It looks at values of types
// that can be so, and only at those.
func Check(v any) error {
	if v == nil || !Deep(reflect.TypeOf(v)) {
		return nil
	}
	return (&walk{path: make(map[place]bool)}).visit(reflect.ValueOf(v))
}

// Deep reports whether nothing in a type bounds how deep its values are: it contains itself, or an interface.
func Deep(t reflect.Type) bool {
	if known, ok := deep.Load(t); ok {
		return known == true
	}
	is := isDeep(t, make(map[reflect.Type]bool))
	deep.Store(t, is)
	return is
}

// deep remembers the answers of Deep: as many as a program has types.
var deep sync.Map //nolint:gochecknoglobals // what it remembers does not change

// isDeep does what Deep does. under are the types that the walk is in.
func isDeep(t reflect.Type, under map[reflect.Type]bool) bool {
	if under[t] {
		return true
	}
	under[t] = true
	defer delete(under, t)
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return isDeep(t.Elem(), under)
	case reflect.Map:
		return isDeep(t.Key(), under) || isDeep(t.Elem(), under)
	case reflect.Struct:
		for f := range t.Fields() {
			if isDeep(f.Type, under) {
				return true
			}
		}
	default:
	}
	return false
}

// walk is a walk over a value.
type walk struct {
	path map[place]bool // what the walk is in
}

// place is where a part of a value is.
type place struct {
	at  unsafe.Pointer
	len int // of a slice
	of  reflect.Type
}

func (w *walk) visit(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Interface:
		return w.visitElem(v)
	case reflect.Pointer:
		return w.within(v, 0, func() error { return w.visitElem(v) })
	case reflect.Slice:
		return w.within(v, v.Len(), func() error { return w.visitList(v) })
	case reflect.Array:
		return w.visitList(v)
	case reflect.Map:
		return w.within(v, 0, func() error { return w.visitMap(v) })
	case reflect.Struct:
		for _, field := range v.Fields() {
			if err := w.visit(field); err != nil {
				return err
			}
		}
	default:
	}
	return nil
}

// within visits what v refers to.
func (w *walk) within(v reflect.Value, n int, visit func() error) error {
	if v.IsNil() || !Deep(v.Type()) {
		return nil
	}
	at := place{v.UnsafePointer(), n, v.Type()}
	switch {
	case w.path[at]:
		return errCycle
	case len(w.path) == MaxDepth:
		return errDeep
	}
	w.path[at] = true
	defer delete(w.path, at)
	return visit()
}

func (w *walk) visitElem(v reflect.Value) error {
	if v.IsNil() {
		return nil
	}
	return w.visit(v.Elem())
}

func (w *walk) visitList(v reflect.Value) error {
	for i := range v.Len() {
		if err := w.visit(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) visitMap(v reflect.Value) error {
	for i := v.MapRange(); i.Next(); {
		if err := w.visit(i.Key()); err != nil {
			return err
		}
		if err := w.visit(i.Value()); err != nil {
			return err
		}
	}
	return nil
}
