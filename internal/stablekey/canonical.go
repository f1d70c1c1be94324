package stablekey

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// canonical writes output, the result of MarshalJSON, in the stable form.
func (e *encoder) canonical(output []byte) error {
	if !json.Valid(output) {
		return fail("MarshalJSON returned %s, which is not JSON", quote(string(output)))
	}
	return e.json(&source{text: string(output)})
}

// source reads JSON that is known to be valid.
type source struct {
	text string
	pos  int
}

// peek skips white space and returns the next byte, zero at the end.
func (s *source) peek() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// accept skips white space, and consumes c if it is next.
func (s *source) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// word reads a number, true, false or null.
func (s *source) word() string {
	rest := s.text[s.pos:]
	if i := strings.IndexAny(rest, ",]} \t\n\r"); i >= 0 {
		rest = rest[:i]
	}
	s.pos += len(rest)
	return rest
}

// str reads a string and returns it without escapes, see [unescape].
func (s *source) str() string {
	s.pos++ // the opening quote
	from := s.pos
	for s.text[s.pos] != '"' {
		if s.text[s.pos] == '\\' {
			s.pos++
		}
		s.pos++
	}
	raw := s.text[from:s.pos]
	s.pos++
	return unescape(raw)
}

// unescape resolves the escapes of a valid JSON string. An unpaired surrogate
// becomes the three bytes that UTF-8 would use for it: they are not valid
// UTF-8, but differ from every other string. Bytes that are not valid UTF-8
// stay unchanged.
func unescape(raw string) string {
	i := strings.IndexByte(raw, '\\')
	if i < 0 {
		return raw
	}
	text := make([]byte, 0, len(raw))
	for ; i >= 0; i = strings.IndexByte(raw, '\\') {
		text = append(text, raw[:i]...)
		escape := raw[i+1]
		raw = raw[i+2:]
		if escape != 'u' {
			text = append(text, unescaped(escape))
			continue
		}
		r := codeUnit(raw)
		raw = raw[4:]
		if utf16.IsSurrogate(r) {
			if strings.HasPrefix(raw, `\u`) {
				if pair := utf16.DecodeRune(r, codeUnit(raw[2:])); pair != utf8.RuneError {
					text = utf8.AppendRune(text, pair)
					raw = raw[6:]
					continue
				}
			}
			text = append(text, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0xbf, 0x80|byte(r)&0xbf)
			continue
		}
		text = utf8.AppendRune(text, r)
	}
	return string(append(text, raw...))
}

// unescaped returns the character of a single-letter escape.
func unescaped(letter byte) byte {
	switch letter {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return letter // quote, backslash or slash
}

// codeUnit parses four hexadecimal digits. The JSON is valid, so they are
// there.
func codeUnit(text string) rune {
	unit, err := strconv.ParseUint(text[:4], 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(unit)
}

// json writes the next value of s.
func (e *encoder) json(s *source) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	switch s.peek() {
	case '{':
		return e.jsonObject(s)
	case '[':
		return e.jsonArray(s)
	case '"':
		e.buf = appendString(e.buf, s.str())
		return nil
	case 't', 'f', 'n':
		e.buf = append(e.buf, s.word()...)
		return nil
	}
	var err error
	e.buf, err = appendNumber(e.buf, s.word())
	return err
}

func (e *encoder) jsonArray(s *source) error {
	s.pos++ // the bracket
	e.buf = append(e.buf, '[')
	for i := 0; !s.accept(']'); i++ {
		if s.accept(',') {
			e.buf = append(e.buf, ',')
		}
		if err := e.json(s); err != nil {
			return atIndex(err, i)
		}
	}
	e.buf = append(e.buf, ']')
	return nil
}

func (e *encoder) jsonObject(s *source) error {
	s.pos++ // the brace
	e.buf = append(e.buf, '{')
	from := len(e.buf)
	var members []member
	for !s.accept('}') {
		s.accept(',')
		s.peek()
		m := member{name: s.str(), start: len(e.buf)}
		s.accept(':')
		e.buf = appendString(e.buf, m.name)
		e.buf = append(e.buf, ':')
		if err := e.json(s); err != nil {
			return atKey(err, m.name)
		}
		m.end = len(e.buf)
		members = append(members, m)
	}
	if twice, ok := e.sortMembers(from, members); !ok {
		return fail("MarshalJSON returned an object that has the name %s twice", quote(twice))
	}
	e.buf = append(e.buf, '}')
	return nil
}
