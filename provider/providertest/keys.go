package providertest

import (
	"fmt"
	"strings"

	"github.com/readthrough/readthrough/provider"
)

const bytesAreBytes = "Keys are byte strings and no byte of them is special: not as a pattern, a separator, an escape, or text. Two keys that a store takes for one hand the value of one to the reader of the other."

func keyCases() []testCase {
	return []testCase{
		{
			"every-byte",
			because(bytesAreBytes),
			func(s *session) {
				var names []string
				for b := range 256 {
					names = append(names, string([]byte{byte(b)}), string([]byte{'x', byte(b), 'y'}))
				}
				s.checkNames(names)
			},
		},
		{"odd-names", because(bytesAreBytes), func(s *session) { s.checkNames(oddNames()) }},
		{
			"long",
			because("Names and scopes may be long, 8 KiB at least, and every byte of them counts. Keys made from filters get long, and those that differ at the end only are different queries."),
			func(s *session) {
				long := strings.Repeat("0123456789abcdef", 512)
				s.checkNames([]string{long, long + "a", long + "b", long[1:], long[:len(long)-1], long[:255], long[:256], long[:250]})
				s.checkKeys([]provider.Key{{Scope: long, Name: "n"}, {Scope: long + "a", Name: "n"}, {Scope: long[:len(long)-1], Name: "n"}})
			},
		},
		{
			"scope-bytes",
			because(bytesAreBytes + " That holds for scopes as for names."),
			func(s *session) {
				var keys []provider.Key
				for b := range 256 {
					keys = append(keys, provider.Key{Scope: string([]byte{byte(b)}), Name: "name"})
				}
				for _, scope := range oddNames() {
					if len(scope) != 1 {
						keys = append(keys, provider.Key{Scope: scope, Name: "name"})
					}
				}
				s.checkKeys(keys)
			},
		},
	}
}

// oddNames returns names that stores of various kinds handle wrongly.
func oddNames() []string {
	return []string{
		"", " ", "  ", "a", "A", "a ", " a", "\n", "\r\n", "a\nb", "a\r\nb", "\t",
		"\x00", "a\x00", "a\x00b", "\xff", "\xff\xff", "\xfe\xff", "\xc3\x28", "a\x80", "\ufffd", "\ufeff",
		"é", "e\u0301", "日本", "\u200b", "ß", "SS", "İ",
		"{", "}", "{}", "{a}", "{a}b", "a{b}c", "{a}{b}", "}{",
		"*", "**", "a*", "?", "[", "]", "[a]", "[a-z]", "[^a]", `\`, `\\`, `\*`, `\?`, "^", "-", "!", "%", "_", "a%", "a_",
		":", "::", "a:b", "a:b:c", ":a", "a:", "/", "a/b", ".", "..", "../a", "|", ",", ";", "#", "@", "&", "=", "+", "a+b", "a%20b", "%3A", "$1", "%s", "%d",
		"'", `"`, "`", "';--", "nil", "null", "0", "00", "-1", "1", "true", "<a>",
		`list:{"status":"open","ids":[1,2,3],"q":"*?"}`,
	}
}

// checkNames stores a value under each of names, then reads and removes each.
func (s *session) checkNames(names []string) {
	s.t.Helper()
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = k(name)
	}
	s.checkKeys(keys)
}

// checkKeys stores a value under each of keys and reads each. Then it removes
// every other key, and reads each again. The keys are distinct.
func (s *session) checkKeys(keys []provider.Key) {
	s.t.Helper()
	for i, key := range keys {
		s.set(key, valueNo(i), provider.NoExpiry)
	}
	for i, key := range keys {
		s.want(key, valueNo(i))
	}
	for i := 0; i < len(keys); i += 2 {
		s.remove(keys[i])
	}
	for i, key := range keys {
		if i%2 == 0 {
			s.wantMiss(key)
		} else {
			s.want(key, valueNo(i))
		}
	}
}

// valueNo returns a string that differs for every i.
func valueNo(i int) string { return fmt.Sprint("value no. ", i) }

// valueOf returns a string made from name. It is always valid UTF-8, because
// codecs need not support other strings.
func valueOf(name string) string { return fmt.Sprintf("value of %+q", name) }
