package providertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func prefixCases() []testCase {
	return []testCase{
		{
			"removes-and-counts",
			because("DeletePrefix removes the entries whose names begin with the prefix, no others, and returns how many they were. When it has returned nil, no Get that begins afterwards finds one of them: it is an invalidation as Delete is."),
			func(s *session) {
				s.checkPrefix([]string{"list:", "list:1", "list:2", "list:10", "lis", "list", "lists:1", "x", "xlist:1", "LIST:1"}, "list:")
				s.wantRemoved("scope", "list:", 0)
				s.wantRemoved("scope", "no such family:", 0)
			},
		},
		{
			"empty-prefix",
			because("The empty prefix means all entries of the scope."),
			func(s *session) { s.checkPrefix(oddNames(), "") },
		},
		{
			"nothing-there",
			because("DeletePrefix of a scope that holds nothing, or never held anything, removes nothing and is no error."),
			func(s *session) {
				s.wantRemoved("never seen", "", 0)
				s.wantRemoved("never seen", "a", 0)
				s.set(k("a"), "value", provider.NoExpiry)
				s.remove(k("a"))
				s.wantRemoved("scope", "", 0)
			},
		},
		{
			"whole-name",
			because("A name begins with itself: a prefix that equals a name removes that entry too."),
			func(s *session) {
				s.checkPrefix([]string{"system:7", "system:70", "system:", "system:6", "system:8"}, "system:7")
				s.checkPrefix([]string{"system:7", "system:6"}, "system:7")
			},
		},
		{
			"nested-families",
			because("Families may lie inside each other, and a prefix removes what is inside it: \"a:\" removes \"a:b:c\", \"a:b:\" does not remove \"a:c\"."),
			func(s *session) {
				names := []string{"a", "a:", "a:b", "a:b:", "a:b:c", "a:b:c:d", "a:c", "a:bc", "b:a:b"}
				for _, prefix := range []string{"a", "a:", "a:b", "a:b:", "a:b:c", "b:a"} {
					s.checkPrefix(names, prefix)
				}
			},
		},
		{
			"glob-bytes",
			because("Prefixes are byte strings, not patterns: *, ?, [, ], \\, ^, - and braces stand for themselves, as do %, _ and regular expressions. A list's key holds filters in JSON, with brackets and whatever the user searched for; read as a pattern it removes too little, and the list stays stale, or too much."),
			checkGlobBytes,
		},
		{
			"any-bytes",
			because("Prefixes may hold every byte: zero, 0xff, which has no successor to end a range with, and what is not UTF-8."),
			checkAnyBytes,
		},
		{
			"neighbours",
			because("The names that sort just before and just after those with the prefix stay. A range that ends a byte too late removes the next family, one that ends too early leaves entries stale."),
			func(s *session) {
				names := []string{"ab", "ab\x00", "ab\xff", "ab\xff\xff\xff", "abz", "ac", "ac\x00", "ab:", "aa", "aa\xff\xff", "a", "a\xff", "b", "ac:1", "AB", "ab\U0010ffff"}
				for _, prefix := range []string{"ab", "a", "ab\xff", "a\xff", "aa", "ac"} {
					s.checkPrefix(names, prefix)
				}
			},
		},
		{
			"long-prefix",
			because("A prefix may be long and longer than every name."),
			func(s *session) {
				long := strings.Repeat("p", 8<<10)
				s.checkPrefix([]string{long, long + "1", long + "2", long[1:], "p", "q" + long}, long)
				s.checkPrefix([]string{"p", "pp"}, long)
			},
		},
		{
			"counts-live-only",
			because("The number returned is that of live entries removed: expired ones do not count, removed yet or not, nor do deleted ones. It is reported to people, who compare it with what they know is cached."),
			checkCountsLive,
		},
		{
			"counts-once",
			because("An entry that was stored many times is one entry."),
			func(s *session) {
				for i := range 10 {
					s.set(k("p:same"), valueNo(i), time.Hour)
					s.set(k("p:other"), valueNo(i), provider.NoExpiry)
				}
				s.wantRemoved("scope", "p:", 2)
				s.wantRemoved("scope", "p:", 0)
			},
		},
		{
			"then-set",
			because("What is stored after DeletePrefix returned is found, and counts when it is removed itself."),
			func(s *session) {
				for range 3 {
					s.set(k("p:1"), "value", provider.NoExpiry)
					s.set(k("p:2"), "value", time.Hour)
					s.wantRemoved("scope", "p:", 2)
					s.wantMiss(k("p:1"))
				}
				s.set(k("p:1"), "new", time.Hour)
				s.want(k("p:1"), "new")
				s.pause()
				s.want(k("p:1"), "new")
			},
		},
		{
			"many",
			because("DeletePrefix removes all entries under the prefix, however many, and counts them exactly. A store that works in chunks must not stop at one, nor skip what moves while it works."),
			checkPrefixMany,
		},
	}
}

// checkPrefix stores all names again, and a few of the matching names in two
// other scopes. It deletes by prefix, and checks the count and the entries that
// remain.
func (s *session) checkPrefix(names []string, prefix string) {
	s.t.Helper()
	hasPrefix := func(name string) bool { return strings.HasPrefix(name, prefix) }
	matching := filter(names, hasPrefix)
	outside := matching[:min(len(matching), 5)]
	s.fill("scope", names)
	s.fill("scopes", outside)
	s.fill("other", outside)
	s.wantRemoved("scope", prefix, len(matching))
	s.wantRemains("scope", names, func(name string) bool { return !hasPrefix(name) })
	s.wantRemains("scopes", outside, func(string) bool { return true })
	s.wantRemains("other", outside, func(string) bool { return true })
}

// filter returns the names that keep accepts.
func filter(names []string, keep func(name string) bool) []string {
	var kept []string
	for _, name := range names {
		if keep(name) {
			kept = append(kept, name)
		}
	}
	return kept
}

func checkGlobBytes(s *session) {
	patterns := []string{
		"*", "?", "[", "]", "[a-c]", "[^a]", "[!a]", "[]", `\`, `\*`, `\\`, "^", "^a", "-", "{", "}", "{a}", "{a,b}",
		"h?llo", "h*o", "a-c", `list:{"a":[1],"q":"*"}`, "%", "_", "a%", ".", ".*", "(a|b)", "a+", "$", "a$",
	}
	names := []string{
		"a", "ab", "b", "bb", "c", "x", "hello", "hallo", "ho", "a-c", "-c", "^b", "!", "aa", "aaa", "a*", "a?",
		"list:{\"a\":1,\"q\":\"x\"}", "[a", "a]", "(a", "'", "+",
	}
	for _, pattern := range patterns {
		names = append(names, pattern+"", pattern+" and more")
	}
	names = distinct(names)
	for _, prefix := range patterns {
		s.checkPrefix(names, prefix)
	}
}

func checkAnyBytes(s *session) {
	var names []string
	for b := range 256 {
		names = append(names, string([]byte{byte(b)}), string([]byte{byte(b), 0xff}), string([]byte{'p', byte(b)}))
	}
	names = distinct(names)
	for _, prefix := range []string{
		"\x00", "\xff", "\xff\xff", "p\x00", "p\xff", "p", "\xfe", "\xfe\xff", "\x80", "\xc3", "\n", "\r", " ", "P", "é",
	} {
		s.checkPrefix(names, prefix)
	}
}

func checkCountsLive(s *session) {
	const ttl = 100 * time.Millisecond
	for i := range 5 {
		s.set(k(fmt.Sprint("p:ends ", i)), "value", ttl)
		s.set(k(fmt.Sprint("p:stays ", i)), "value", time.Hour)
		s.set(k(fmt.Sprint("p:deleted ", i)), "value", time.Hour)
		s.remove(k(fmt.Sprint("p:deleted ", i)))
	}
	s.set(k("p:prolonged"), "value", ttl)
	s.set(k("p:prolonged"), "value", time.Hour)
	s.expire(ttl)
	s.wantRemoved("scope", "p:", 6)
	s.wantRemoved("scope", "p:", 0)
}

func checkPrefixMany(s *session) {
	const matching, others = 5000, 500
	for i := range matching {
		s.set(k(fmt.Sprint("list:", i)), "value", provider.NoExpiry)
	}
	for i := range others {
		s.set(k(fmt.Sprint("lisu:", i)), "value", provider.NoExpiry)
	}
	s.wantRemoved("scope", "list:", matching)
	for i := range matching {
		if _, found := s.get(k(fmt.Sprint("list:", i))); found {
			s.fatalf("after DeletePrefix of %d entries, number %d is still found", matching, i)
		}
	}
	s.wantRemoved("scope", "", others)
}

// distinct returns the names without repetitions.
func distinct(names []string) []string {
	seen := map[string]bool{}
	var once []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			once = append(once, name)
		}
	}
	return once
}
