package stablekey

import (
	"encoding/base64"
	"reflect"
	"strconv"
	"time"
)

// encoder writes one value to a buffer. One goroutine uses it, once. Between two
// calls of its methods, buf holds complete JSON values and the beginning of
// those that enclose them, and depth is the number of enclosing values. After an
// error, the content of buf is undefined.
type encoder struct {
	buf   []byte
	start int // the length of buf before the encoding
	depth int
	// scratch is the buffer of sortMembers. Inner objects are sorted before
	// outer ones, so one is enough.
	scratch []byte
}

// enter begins a value, and leave ends it. All values pass through them: Go
// values, and values in the output of marshalers.
func (e *encoder) enter() error {
	if e.depth == maxDepth {
		return fail("nested deeper than %d levels, or a cycle", maxDepth)
	}
	if err := e.checkLength(); err != nil {
		return err
	}
	e.depth++
	return nil
}

func (e *encoder) leave() { e.depth-- }

func (e *encoder) checkLength() error {
	if len(e.buf)-e.start > maxLength {
		return fail("the encoding is longer than %d bytes", maxLength)
	}
	return nil
}

// value writes v.
func (e *encoder) value(v reflect.Value) error {
	if !v.IsValid() { // a nil interface
		e.null()
		return nil
	}
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	return e.encode(v, planOf(v.Type()))
}

func (e *encoder) null() { e.buf = append(e.buf, "null"...) }

func (e *encoder) encode(v reflect.Value, p *plan) (err error) {
	switch p.how {
	case asBool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case asInt:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case asUint:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	case asFloat:
		e.buf, err = appendFloat(e.buf, v.Float(), v.Type().Bits())
	case asString:
		e.buf = appendString(e.buf, v.String())
	case asBytes:
		e.bytes(v)
	case asPointer, asInterface:
		if v.IsNil() {
			e.null()
			return nil
		}
		return e.value(v.Elem())
	case asStruct:
		return e.structure(v, p)
	case asList:
		return e.list(v)
	case asMap:
		return e.mapping(v, p)
	default:
		return e.special(v, p)
	}
	return err
}

// special writes a value whose type, not its kind, determines the encoding.
func (e *encoder) special(v reflect.Value, p *plan) error {
	switch p.how {
	case asNumber:
		return e.number(v.String())
	case asTime:
		text, err := timeText(v)
		if err != nil {
			return err
		}
		e.buf = appendString(e.buf, text)
		return nil
	case asText:
		text, err := marshalText(v, p.onPointer)
		if err != nil {
			return err
		}
		e.buf = appendString(e.buf, text)
		return nil
	case asJSON:
		output, err := marshalJSON(v, p.onPointer)
		if err != nil {
			return err
		}
		return e.canonical(output)
	default:
		return fail("the type %s has no stable encoding", v.Type())
	}
}

// number writes a json.Number. The empty json.Number, its zero value, is not a
// number. It becomes the empty string, which no other json.Number is encoded as.
func (e *encoder) number(text string) (err error) {
	if text == "" {
		e.buf = append(e.buf, `""`...)
		return nil
	}
	if !isNumber(text) {
		return fail("the json.Number %s is not a JSON number", quote(text))
	}
	e.buf, err = appendNumber(e.buf, text)
	return err
}

// timeText returns the text of v, a time.Time, in UTC.
func timeText(v reflect.Value) (string, error) {
	r, err := receiver(v, false)
	if err != nil {
		return "", err
	}
	t, ok := r.(time.Time)
	if !ok {
		return "", fail("%s is not a time.Time", v.Type())
	}
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return "", fail("the year %d is outside 0 to 9999", year)
	}
	return t.Format(time.RFC3339Nano), nil
}

// bytes writes a []byte.
func (e *encoder) bytes(v reflect.Value) {
	if v.IsNil() {
		e.null()
		return
	}
	e.buf = append(e.buf, '"')
	e.buf = base64.StdEncoding.AppendEncode(e.buf, v.Bytes())
	e.buf = append(e.buf, '"')
}

// list writes an array or a slice.
func (e *encoder) list(v reflect.Value) error {
	if v.Kind() == reflect.Slice && v.IsNil() {
		e.null()
		return nil
	}
	e.buf = append(e.buf, '[')
	for i := range v.Len() {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.value(v.Index(i)); err != nil {
			return atIndex(err, i)
		}
	}
	e.buf = append(e.buf, ']')
	return nil
}

// structure writes a struct. The fields are already sorted in the plan.
func (e *encoder) structure(v reflect.Value, p *plan) error {
	if p.err != nil {
		return fail("%w", p.err) // a new error: the path is added to it
	}
	e.buf = append(e.buf, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		fv, ok := f.find(v)
		if !ok {
			continue
		}
		absent, err := f.absent(fv)
		if err != nil {
			return at(err, "."+f.goName)
		}
		if absent {
			continue
		}
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.buf = append(e.buf, f.label...)
		if err := e.field(fv, f.quoted); err != nil {
			return at(err, "."+f.goName)
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

// field writes the value of a field. With the string option of the tag, the
// encoding is written as a string.
func (e *encoder) field(v reflect.Value, quoted bool) error {
	from := len(e.buf)
	err := e.value(v)
	if quoted && err == nil {
		text := string(e.buf[from:])
		e.buf = appendString(e.buf[:from], text)
	}
	return err
}

// mapping writes a map.
func (e *encoder) mapping(v reflect.Value, p *plan) error {
	if p.key == unsupported {
		return fail("the map key type %s has no stable encoding (a string, an integer, or a type with MarshalText has)", v.Type().Key())
	}
	if v.IsNil() {
		e.null()
		return nil
	}
	e.buf = append(e.buf, '{')
	from := len(e.buf)
	members := make([]member, 0, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		name, err := keyText(iter.Key(), p.key)
		if err != nil {
			return err
		}
		m := member{name: name, start: len(e.buf)}
		e.buf = appendString(e.buf, name)
		e.buf = append(e.buf, ':')
		if err := e.value(iter.Value()); err != nil {
			return atKey(err, name)
		}
		m.end = len(e.buf)
		members = append(members, m)
	}
	if twice, ok := e.sortMembers(from, members); !ok {
		return fail("two map keys have the same text %s", quote(twice))
	}
	e.buf = append(e.buf, '}')
	return nil
}

// keyText returns the text of a map key.
func keyText(key reflect.Value, h how) (string, error) {
	switch h {
	case asString:
		return key.String(), nil
	case asInt:
		return strconv.FormatInt(key.Int(), 10), nil
	case asUint:
		return strconv.FormatUint(key.Uint(), 10), nil
	case asTime:
		return timeText(key)
	default:
	}
	if k := key.Kind(); (k == reflect.Pointer || k == reflect.Interface) && key.IsNil() {
		return "", fail("a nil map key has no text")
	}
	return marshalText(key, false)
}
