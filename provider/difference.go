package provider

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// comparison compares a value with what was decoded from its encoding. All values that
// it gets are addressable, and may be looked at although a field is unexported.
type comparison struct {
	isJSON  bool
	equals  *equals
	visited map[visit]bool // what is being compared already: values may have cycles
}

type visit struct {
	a, b unsafe.Pointer
	len  int // of slices
	of   reflect.Type
}

// difference is the first difference of two values.
type difference struct {
	path   string // from the values
	reason string // a predicate
}

const (
	comesBackOther = "would come back as another value"
	comesBackEmpty = "would come back empty"
)

func differs(reason string) *difference { return &difference{reason: reason} }

// diff returns how b, which was decoded, differs from a; nil: not at all.
func (c *comparison) diff(a, b reflect.Value) *difference {
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		switch {
		case a.IsNil() && b.IsNil():
			return nil
		case a.IsNil():
			return differs("is nil and would come back as something else")
		case b.IsNil():
			return differs("would come back as nil")
		}
	default:
	}
	if equal := c.equals.of(a.Type()); equal != nil {
		if equal(a, b) {
			return nil
		}
		return differs(comesBackOther)
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.Pointer() == b.Pointer() || c.isVisited(a, b) {
			return nil
		}
		return c.diff(a.Elem(), b.Elem())
	case reflect.Interface:
		return c.diffInterface(a.Elem(), b.Elem())
	case reflect.Struct:
		return c.diffStruct(a, b)
	case reflect.Slice:
		if a.Type().Elem().Kind() == reflect.Uint8 && bytes.Equal(a.Bytes(), b.Bytes()) || c.isVisited(a, b) {
			return nil
		}
		return c.diffList(a, b)
	case reflect.Array:
		return c.diffList(a, b)
	case reflect.Map:
		return c.diffMap(a, b)
	case reflect.String:
		return diffStrings(a.String(), b.String())
	case reflect.Func:
		return differs(comesBackOther)
	default:
		if a.Equal(b) || !a.Equal(a) && !b.Equal(b) { // NaN is not equal to itself
			return nil
		}
		return differs(comesBackOther)
	}
}

// isVisited reports whether a and b are being compared already.
func (c *comparison) isVisited(a, b reflect.Value) bool {
	v := visit{a: a.UnsafePointer(), b: b.UnsafePointer(), of: a.Type()}
	if a.Kind() == reflect.Slice {
		v.len = a.Len()
	}
	if c.visited[v] {
		return true
	}
	if c.visited == nil {
		c.visited = make(map[visit]bool)
	}
	c.visited[v] = true
	return false
}

// diffInterface compares what two interfaces hold.
func (c *comparison) diffInterface(a, b reflect.Value) *difference {
	if a.Type() != b.Type() {
		return differs(fmt.Sprintf("holds a %v, which would come back as a %v", a.Type(), b.Type()))
	}
	return c.diff(addressable(a), addressable(b))
}

func (c *comparison) diffStruct(a, b reflect.Value) *difference {
	t := a.Type()
	_, isMessage := t.MethodByName("ProtoReflect")
	_, isPointerMessage := reflect.PointerTo(t).MethodByName("ProtoReflect")
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" || (isMessage || isPointerMessage) && !f.IsExported() { // what a message knows of itself
			continue
		}
		d := c.diff(readable(a.Field(i)), readable(b.Field(i)))
		if d == nil {
			continue
		}
		if reason := c.lossOf(t, f, a.Field(i)); reason != "" {
			d = differs(reason)
		}
		d.path = "." + f.Name + d.path
		return d
	}
	return nil
}

// lossOf returns why a codec may lose a field of a struct; "" if the field does not
// show why.
func (c *comparison) lossOf(t reflect.Type, f reflect.StructField, value reflect.Value) string {
	tag := f.Tag.Get("json")
	_, options, _ := strings.Cut(tag, ",")
	switch {
	case c.isJSON && hasJSONMethods(t):
		return "is not in what the methods of " + t.String() + hidingField(t) + " encode"
	case c.isJSON && tag == "-":
		return `has the tag json:"-" and ` + comesBackEmpty
	case !f.IsExported() && !f.Anonymous:
		return "is unexported and " + comesBackEmpty
	case c.isJSON && strings.Contains(","+options+",", ",omitempty,") && (value.Kind() == reflect.Slice || value.Kind() == reflect.Map) && value.Len() == 0:
		return "is empty, has the option omitempty, and would come back as nil"
	default:
		return ""
	}
}

// hidingField names the embedded field whose methods may be those of a struct.
func hidingField(t reflect.Type) string {
	for f := range t.Fields() {
		if f.Anonymous && hasJSONMethods(f.Type) {
			return ", which may be those of the embedded " + f.Type.String() + ","
		}
	}
	return ""
}

func (c *comparison) diffList(a, b reflect.Value) *difference {
	if a.Len() != b.Len() {
		return differs(fmt.Sprintf("has %d elements and would come back with %d", a.Len(), b.Len()))
	}
	for i := range a.Len() {
		if d := c.diff(a.Index(i), b.Index(i)); d != nil {
			d.path = fmt.Sprintf("[%d]%s", i, d.path)
			return d
		}
	}
	return nil
}

func (c *comparison) diffMap(a, b reflect.Value) *difference {
	if a.Len() != b.Len() {
		return differs(fmt.Sprintf("has %d elements and would come back with %d", a.Len(), b.Len()))
	}
	if c.isVisited(a, b) {
		return nil
	}
	for i := a.MapRange(); i.Next(); {
		key := i.Key()
		if !key.Equal(key) {
			continue // NaN: nobody finds it
		}
		value := b.MapIndex(key)
		if !value.IsValid() {
			return differs("would come back with another key")
		}
		if d := c.diff(addressable(i.Value()), addressable(value)); d != nil {
			d.path = "[…]" + d.path // the key may be a secret
			return d
		}
	}
	return nil
}

func diffStrings(a, b string) *difference {
	switch {
	case a == b:
		return nil
	case !utf8.ValidString(a):
		return differs("is not valid UTF-8 and would come back as another string")
	default:
		return differs("would come back as another string")
	}
}

// readable returns an addressable value without the mark of an unexported field.
func readable(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() //nolint:gosec // reads only
}

// addressable returns a copy of v that is addressable.
func addressable(v reflect.Value) reflect.Value {
	n := reflect.New(v.Type()).Elem()
	n.Set(v)
	return n
}

// equals has functions that compare values, by their types.
type equals struct{ funcs sync.Map }

// of returns a function that compares two values of a type by their method Equal or
// Cmp, nil if they have none.
func (e *equals) of(t reflect.Type) func(a, b reflect.Value) bool {
	known, ok := e.funcs.Load(t)
	if !ok {
		known, _ = e.funcs.LoadOrStore(t, newEqual(t))
	}
	f, _ := known.(func(a, b reflect.Value) bool) //nolint:errcheck // it has nothing else
	return f
}

// newEqual returns what equals.of does.
func newEqual(t reflect.Type) func(a, b reflect.Value) bool {
	if t.Kind() == reflect.Interface {
		return nil
	}
	for _, receiver := range []reflect.Type{t, reflect.PointerTo(t)} {
		equal, ok := receiver.MethodByName("Equal")
		isEqual := func(result reflect.Value) bool { return result.Bool() }
		kind := reflect.Bool
		if !ok {
			equal, ok = receiver.MethodByName("Cmp")
			isEqual = func(result reflect.Value) bool { return result.Int() == 0 }
			kind = reflect.Int
		}
		if !ok || equal.Type.NumIn() != 2 || equal.Type.NumOut() != 1 || equal.Type.Out(0).Kind() != kind {
			continue
		}
		in := equal.Type.In(1)
		if in != t && in != receiver {
			continue
		}
		as := func(v reflect.Value, t reflect.Type) reflect.Value {
			if v.Type() == t {
				return v
			}
			return v.Addr()
		}
		return func(a, b reflect.Value) bool {
			return isEqual(equal.Func.Call([]reflect.Value{as(a, receiver), as(b, in)})[0])
		}
	}
	return nil
}
