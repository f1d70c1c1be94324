package providertest

import (
	"strings"

	"github.com/readthrough/readthrough/provider"
)

func scopeCases() []testCase {
	return []testCase{
		{
			"apart",
			because("Two keys are the same entry exactly if both parts are equal: (\"a\", \"b:c\") and (\"a:b\", \"c\") are different entries. Scopes belong to different parts of a program, and what one reads of another is of another type, or of another user."),
			func(s *session) {
				for _, separator := range []string{":", "/", "|", ".", "\x00", "\x1f", "\xff", "{", "}", "#", "-", "_", " ", "\n", ",", "%", `\`} {
					s.checkKeys([]provider.Key{
						{Scope: "a", Name: "b" + separator + "c"},
						{Scope: "a" + separator + "b", Name: "c"},
						{Scope: "a" + separator, Name: "b" + separator + "c"},
						{Scope: "a", Name: separator + "b" + separator + "c"},
						{Scope: "", Name: "a" + separator + "b" + separator + "c"},
						{Scope: "a" + separator + "b" + separator + "c", Name: ""},
					})
				}
			},
		},
		{
			"every-split",
			because("However a text is split into scope and name, and whatever marks or counts the parts, every split is a key of its own."),
			checkEverySplit,
		},
		{
			"prefix-stays-inside",
			because("DeletePrefix removes entries of its scope only: not those of scopes that begin with it, nor of scopes that its own name and prefix together make up. A scope can never touch another scope's keys."),
			checkPrefixStaysInside,
		},
		{
			"delete-stays-inside",
			because("Delete removes a name from the scope of its key only."),
			func(s *session) {
				for _, scope := range []string{"a", "b", "ab", ""} {
					s.set(provider.Key{Scope: scope, Name: "name"}, "value in "+scope, provider.NoExpiry)
				}
				s.remove(provider.Key{Scope: "a", Name: "name"})
				s.wantMiss(provider.Key{Scope: "a", Name: "name"})
				for _, scope := range []string{"b", "ab", ""} {
					s.want(provider.Key{Scope: scope, Name: "name"}, "value in "+scope)
				}
			},
		},
	}
}

// checkEverySplit stores keys whose joined texts are equal, among them texts
// that length prefixes and escapes produce.
func checkEverySplit(s *session) {
	seen := map[provider.Key]bool{}
	var keys []provider.Key
	add := func(key provider.Key) {
		if !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	for _, whole := range []string{"aaaa", "a:b:c", "::::", "1:a1:b", "a%3Ab:c", `a\:b:c`, "a\x00\x00b", "{a}{b}", "3:a:b", "\x01\x01aa"} {
		for i := 0; i <= len(whole); i++ {
			add(provider.Key{Scope: whole[:i], Name: whole[i:]})
		}
		if before, after, cut := strings.Cut(whole, ":"); cut { // without the separator
			add(provider.Key{Scope: before, Name: after})
		}
	}
	s.checkKeys(keys)
}

func checkPrefixStaysInside(s *session) {
	scopes := []string{"", "a", "ab", "a:", "a:b", "b", "A", "*", "a*", "?", "[a]", "{a}", "{", "a\x00", "\xff", "aa", "aab", "%"}
	names := []string{"", "b", "b:c", "c", ":b", "a", "a:b", "*"}
	for _, target := range scopes {
		for _, prefix := range []string{"", "b", ":"} {
			for _, scope := range scopes {
				s.fill(scope, names)
			}
			want := 0
			for _, name := range names {
				if strings.HasPrefix(name, prefix) {
					want++
				}
			}
			s.wantRemoved(target, prefix, want)
			for _, scope := range scopes {
				s.wantRemains(scope, names, func(name string) bool { return scope != target || !strings.HasPrefix(name, prefix) })
			}
		}
	}
}

// wantRemains checks that those names of scope that remains accepts still hold
// the values of fill, and that the others hold nothing.
func (s *session) wantRemains(scope string, names []string, remains func(name string) bool) {
	s.t.Helper()
	for _, name := range names {
		key := provider.Key{Scope: scope, Name: name}
		if remains(name) {
			s.want(key, valueOf(name))
		} else {
			s.wantMiss(key)
		}
	}
}
