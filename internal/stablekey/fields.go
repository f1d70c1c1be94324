package stablekey

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is a field of a struct or of a struct that it embeds.
type field struct {
	name   string // in JSON
	label  string // `"name":`
	goName string // with the names of the embedded structs, for errors
	index  []int  // the path to it
	tagged bool   // the name is from the tag

	omitEmpty bool
	omitZero  bool
	quoted    bool
	// zeroer means that the type has an IsZero method, zeroOnPointer that it has
	// a pointer receiver.
	zeroer, zeroOnPointer bool
}

// embedded is a struct whose fields still have to be scanned.
type embedded struct {
	typ    reflect.Type
	index  []int
	goName string
}

// fieldsOf returns the fields of the struct t, sorted by name. It follows
// encoding/json: breadth first through embedded structs. A field hides deeper
// fields of the same name. At the same depth, a field that is named by its tag
// hides others.
func fieldsOf(t reflect.Type) ([]field, error) {
	var found []field
	visited := map[reflect.Type]bool{}
	for level := []embedded{{typ: t}}; len(level) > 0; {
		// A struct that is embedded twice at the same depth hides its own fields.
		// It is scanned twice on purpose, so that dominant finds the duplicates.
		var next []embedded
		for _, here := range level {
			if visited[here.typ] {
				continue
			}
			fields, deeper, err := scan(here)
			if err != nil {
				return nil, err
			}
			found = append(found, fields...)
			next = append(next, deeper...)
		}
		for _, here := range level {
			visited[here.typ] = true
		}
		level = next
	}
	return dominant(found)
}

// scan returns the fields of one struct, and the structs that it embeds.
func scan(here embedded) (fields []field, deeper []embedded, err error) {
	for i := range here.typ.NumField() {
		sf := here.typ.Field(i)
		tag := sf.Tag.Get("json")
		if tag == "-" {
			continue
		}
		goName := here.goName + sf.Name
		if hidden(sf) {
			if sf.Name == "_" || sf.Type.Size() == 0 {
				continue
			}
			return nil, nil, fail("the field %s is unexported: values that differ in it would share a key"+
				" (export it, or tag it `json:\"-\"` if it is no part of the filter)", goName)
		}
		name, options, _ := strings.Cut(tag, ",")
		if !validName(name) {
			name = ""
		}
		index := append(slices.Clone(here.index), i)
		if sf.Anonymous && name == "" {
			if t := pointed(sf.Type); t.Kind() == reflect.Struct {
				deeper = append(deeper, embedded{typ: t, index: index, goName: goName + "."})
				continue
			}
		}
		f := newField(sf, name, strings.Split(options, ","))
		f.index, f.goName = index, goName
		fields = append(fields, f)
	}
	return fields, deeper, nil
}

// hidden reports whether JSON ignores the field: it is unexported and not an
// embedded struct, which may have exported fields.
func hidden(sf reflect.StructField) bool {
	return !sf.IsExported() && (!sf.Anonymous || pointed(sf.Type).Kind() != reflect.Struct)
}

// pointed returns the type that an unnamed pointer type points to, and any other
// type unchanged.
func pointed(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		return t.Elem()
	}
	return t
}

func newField(sf reflect.StructField, tagName string, options []string) field {
	f := field{
		name:      tagName,
		tagged:    tagName != "",
		omitEmpty: slices.Contains(options, "omitempty"),
		omitZero:  slices.Contains(options, "omitzero"),
	}
	if !f.tagged {
		f.name = sf.Name
	}
	f.label = string(appendString(nil, f.name)) + ":"
	if f.omitZero {
		f.zeroer, f.zeroOnPointer = hasMethod(sf.Type, reflect.TypeFor[zeroer]())
	}
	if slices.Contains(options, "string") {
		switch h, _ := howOf(pointed(sf.Type)); h {
		case asBool, asInt, asUint, asFloat, asString, asNumber:
			f.quoted = true
		default: // encoding/json ignores the option too
		}
	}
	return f
}

// validName reports whether encoding/json accepts a name from a tag.
func validName(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return false
		}
	}
	return name != ""
}

// dominant sorts the fields, and keeps for each name the one that hides the
// others. If none does, encoding/json would drop all of them; dominant returns an
// error.
func dominant(found []field) ([]field, error) {
	slices.SortStableFunc(found, func(a, b field) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		if c := len(a.index) - len(b.index); c != 0 {
			return c
		}
		switch {
		case a.tagged && !b.tagged:
			return -1
		case b.tagged && !a.tagged:
			return 1
		}
		return 0
	})
	var fields []field
	for i, f := range found {
		if i == 0 || found[i-1].name != f.name {
			fields = append(fields, f)
			continue
		}
		winner := fields[len(fields)-1]
		if len(winner.index) == len(f.index) && winner.tagged == f.tagged {
			return nil, fail("the fields %s and %s both have the JSON name %s", winner.goName, f.goName, quote(f.name))
		}
	}
	return fields, nil
}

// find returns the field in v. It returns false if an embedded pointer on the
// path is nil.
func (f *field) find(v reflect.Value) (reflect.Value, bool) {
	if len(f.index) == 1 {
		return v.Field(f.index[0]), true
	}
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(x)
	}
	return v, true
}

// absent reports whether a field with the value v is left out.
func (f *field) absent(v reflect.Value) (bool, error) {
	if f.omitEmpty && isEmpty(v) {
		return true, nil
	}
	if f.omitZero {
		if f.zeroer {
			zero, err := callIsZero(v, f.zeroOnPointer)
			if zero || err != nil {
				return zero, err
			}
		} else if v.IsZero() {
			return true, nil
		}
	}
	return isNil(v), nil
}

// isEmpty implements omitempty.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

// isNil reports whether v counts as nil: a nil pointer, interface, map or slice,
// or an interface that holds one. A nil map or slice with a marshaler does not
// count: its marshaler decides.
func isNil(v reflect.Value) bool {
	for v.Kind() == reflect.Interface {
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Map, reflect.Slice:
		if !v.IsNil() {
			return false
		}
		h := planOf(v.Type()).how
		return h != asJSON && h != asText
	default:
		return false
	}
}
