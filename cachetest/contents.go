package cachetest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// contents is what a value has in it, also behind its pointers: one leaf for each number, text, length and so on, in
// their order. Two contents of one value differ if somebody has changed the value in between.
type contents []leaf

// leaf is a part of a value that has no parts.
type leaf struct{ path, text string }

// contentsOf returns the contents of a value.
func contentsOf(v any) contents {
	if v == nil {
		return contents{{"", "nil"}}
	}
	w := contentsWalk{seen: make(map[reference]int)}
	root := reflect.New(reflect.TypeOf(v)).Elem() // so that all in it is addressable
	root.Set(reflect.ValueOf(v))
	w.visit(root.Type().String(), root)
	return w.found
}

// difference returns the first difference of what a value has in it from what it had before, as a predicate of a path;
// "" if there is none.
func (c contents) difference(before contents) string {
	for i, leaf := range c {
		switch {
		case i == len(before):
			return fmt.Sprintf("%s: there was nothing, now it is %s", leaf.path, clipped(leaf.text))
		case leaf.path != before[i].path:
			return fmt.Sprintf("%s: it was %s, now it is gone", before[i].path, clipped(before[i].text))
		case leaf.text != before[i].text:
			return fmt.Sprintf("%s: it was %s, now it is %s", leaf.path, clipped(before[i].text), clipped(leaf.text))
		}
	}
	if len(c) < len(before) {
		return fmt.Sprintf("%s: it was %s, now it is gone", before[len(c)].path, clipped(before[len(c)].text))
	}
	return ""
}

func clipped(text string) string {
	const most = 80
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// reference is what a pointer, a map or a slice refers to.
type reference struct {
	at  unsafe.Pointer
	len int
	of  reflect.Type
}

// contentsWalk is a walk over a value.
type contentsWalk struct {
	found contents
	seen  map[reference]int // the number of each
}

func (w *contentsWalk) leaf(path, text string) { w.found = append(w.found, leaf{path, text}) }

func (w *contentsWalk) visit(path string, v reflect.Value) {
	if isOpaque(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !w.isNew(path, v, 0) {
			return
		}
		w.visit(path, v.Elem())
	case reflect.Interface:
		w.visitInterface(path, v)
	case reflect.Struct:
		w.visitFields(path, v)
	case reflect.Slice:
		if w.isNew(path, v, v.Len()) {
			w.visitList(path, v)
		}
	case reflect.Array:
		w.visitList(path, v)
	case reflect.Map:
		if w.isNew(path, v, 0) {
			w.visitMap(path, v)
		}
	case reflect.String:
		w.leaf(path, strconv.Quote(v.String()))
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		w.leaf(path, fmt.Sprintf("%v %#x", v.Type(), v.Pointer()))
	default:
		w.leaf(path, fmt.Sprint(readableValue(v).Interface()))
	}
}

// isOpaque reports whether a type has nothing of a value in it, and changes by itself.
func isOpaque(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.PkgPath() {
	case "sync", "sync/atomic", "reflect", "runtime", "internal/abi":
		return true
	case "time":
		return t.Name() == "Location"
	default:
		return false
	}
}

// isNew reports whether v refers to something that the walk has to look at. It writes a leaf if not.
func (w *contentsWalk) isNew(path string, v reflect.Value, n int) bool {
	if v.IsNil() {
		w.leaf(path, "nil")
		return false
	}
	at := reference{v.UnsafePointer(), n, v.Type()}
	if number, ok := w.seen[at]; ok {
		w.leaf(path, "the same as part "+strconv.Itoa(number))
		return false
	}
	w.seen[at] = len(w.found)
	return true
}

func (w *contentsWalk) visitInterface(path string, v reflect.Value) {
	if v.IsNil() {
		w.leaf(path, "nil")
		return
	}
	inner := reflect.New(v.Elem().Type()).Elem()
	inner.Set(readableValue(v).Elem())
	w.leaf(path, "a "+inner.Type().String())
	w.visit(path+".("+inner.Type().String()+")", inner)
}

func (w *contentsWalk) visitFields(path string, v reflect.Value) {
	_, isMessage := reflect.PointerTo(v.Type()).MethodByName("ProtoReflect")
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if isMessage && !f.IsExported() { // what a message knows of itself
			continue
		}
		w.visit(path+"."+f.Name, readableValue(v.Field(i)))
	}
}

func (w *contentsWalk) visitList(path string, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
		w.leaf(path, strconv.Quote(string(v.Bytes())))
		return
	}
	w.leaf(path, "of "+strconv.Itoa(v.Len())+" elements")
	for i := range v.Len() {
		w.visit(path+"["+strconv.Itoa(i)+"]", v.Index(i))
	}
}

func (w *contentsWalk) visitMap(path string, v reflect.Value) {
	type entry struct {
		key   string
		value reflect.Value
	}
	var entries []entry
	for i := v.MapRange(); i.Next(); {
		key, value := reflect.New(i.Key().Type()).Elem(), reflect.New(i.Value().Type()).Elem()
		key.Set(i.Key())
		value.Set(i.Value())
		entries = append(entries, entry{keyText(key), value})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	w.leaf(path, "of "+strconv.Itoa(len(entries))+" elements")
	for _, e := range entries {
		w.visit(path+"["+e.key+"]", e.value)
	}
}

// keyText returns the text of a key of a map.
func keyText(key reflect.Value) string {
	w := contentsWalk{seen: make(map[reference]int)}
	w.visit("", key)
	if len(w.found) == 1 {
		return w.found[0].text
	}
	return fmt.Sprint(w.found)
}

// readableValue returns an addressable value without the mark of an unexported field.
func readableValue(v reflect.Value) reflect.Value {
	if !v.CanAddr() || v.CanInterface() {
		return v
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() //nolint:gosec // reads only
}
