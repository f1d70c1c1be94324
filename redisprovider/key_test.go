package redisprovider

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	p := &Provider{prefix: "rt:"}
	for _, c := range []struct{ scope, name, want string }{
		{"maintenance", "system:7", "rt:{maintenance}:v:system:7"},
		{"maintenance", `list:{"status":"open"}`, `rt:{maintenance}:v:list:{"status":"open"}`},
		{"a", "b:c", "rt:{a}:v:b:c"},
		{"a:b", "c", "rt:{a%3Ab}:v:c"},
		{"", "", "rt:{}:v:"},
		{"", ":", "rt:{}:v::"},
		{":", "", "rt:{%3A}:v:"},
		{"{x}%#", "%{x}#", "rt:{%7Bx%7D%25%23}:v:%{x}#"},
		{"\x00 ü\xff", "\x00 ü\xff", "rt:{\x00 ü\xff}:v:\x00 ü\xff"},
	} {
		if got := p.keyOf(provider.Key{Scope: c.scope, Name: c.name}); got != c.want {
			t.Errorf("the key of %q, %q is %q, want %q", c.scope, c.name, got, c.want)
		}
	}
}

// TestKeysAreInjective goes through all short scopes and names of the bytes that
// mean something.
func TestKeysAreInjective(t *testing.T) {
	t.Parallel()
	p := &Provider{prefix: "p:"}
	words := []string{""}
	for from := 0; len(words) < 600; {
		end := len(words)
		for _, word := range words[from:end] {
			for _, c := range []string{":", "%", "3", "A", "{"} {
				words = append(words, word+c)
			}
		}
		from = end
	}
	seen := make(map[string]provider.Key)
	for _, scope := range words {
		for _, name := range words {
			k := provider.Key{Scope: scope, Name: name}
			if other, ok := seen[p.keyOf(k)]; ok {
				t.Fatalf("%q and %q are both %q", k, other, p.keyOf(k))
			}
			seen[p.keyOf(k)] = k
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("a", "b:c", "a:b", "c")
	f.Add("%", "", "%25", "")
	f.Fuzz(func(t *testing.T, scope1, name1, scope2, name2 string) {
		p := &Provider{prefix: "rt:"}
		a, b := provider.Key{Scope: scope1, Name: name1}, provider.Key{Scope: scope2, Name: name2}
		if (p.keyOf(a) == p.keyOf(b)) != (a == b) {
			t.Fatalf("%q and %q: keys %q and %q", a, b, p.keyOf(a), p.keyOf(b))
		}
		// A scope's keys, and no others, begin with its root.
		root := p.keyOf(provider.Key{Scope: scope1})
		if strings.HasPrefix(p.keyOf(b), root) != (scope1 == scope2) {
			t.Fatalf("scope %q: the key %q of scope %q begins with %q", scope1, p.keyOf(b), scope2, root)
		}
	})
}

func TestMatchPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"":                     "*",
		"rt:a:list:":           "rt:a:list:*",
		`list:{"a":[1]}`:       `list:{"a":\[1]}*`,
		`*?[]\^-`:              `\*\?\[]\\^-*`,
		"\x00\xff":             "\x00\xff*",
		"trailing backslash\\": `trailing backslash\\*`,
	} {
		if got := matchPrefix(prefix); got != want {
			t.Errorf("the pattern for %q is %q, want %q", prefix, got, want)
		}
	}
}

func TestQuoteCutsLongKeys(t *testing.T) {
	t.Parallel()
	if got := quote("a\n"); got != `"a\n"` {
		t.Errorf("got %s", got)
	}
	got := quote(strings.Repeat("\x00", 1<<20))
	if len(got) > 400 || !strings.Contains(got, "1048576 bytes") {
		t.Errorf("got %d bytes: %.500s", len(got), got)
	}
}

func TestMilliseconds(t *testing.T) {
	t.Parallel()
	const century = int64(100 * 365 * 24 * 3600 * 1000)
	for ttl, want := range map[time.Duration]int64{
		1:                                  1,
		time.Microsecond:                   1,
		time.Millisecond - 1:               1,
		time.Millisecond:                   1,
		time.Millisecond + 1:               2,
		1500 * time.Microsecond:            2,
		500 * time.Millisecond:             500,
		15 * time.Second:                   15_000,
		100 * 365 * 24 * time.Hour:         century,
		100*365*24*time.Hour + time.Second: century,
		math.MaxInt64 - 1:                  century,
	} {
		if got, ends := pxOf(ttl); got != want || !ends {
			t.Errorf("pxOf(%v) = %d, %v; want %d", ttl, got, ends, want)
		}
	}
	if got, ends := pxOf(provider.NoExpiry); ends {
		t.Errorf("pxOf(NoExpiry) = %d, %v; want no end", got, ends)
	}
}

func TestCommandsThatAreSentOnceStaySo(t *testing.T) {
	t.Parallel()
	c := call{script: newScript("return 1"), keys: []string{"key"}, args: []any{"value"}}.cmd(t.Context())
	if !c.NoRetry() || !c.Clone().NoRetry() {
		t.Error("a script may be sent twice")
	}
	if got := fmt.Sprint(c.Clone().Args()); got != fmt.Sprint(c.Args()) {
		t.Errorf("the clone has arguments %s", got)
	}
	if !newScanOnce(t.Context(), 0, "*", 1).NoRetry() {
		t.Error("a SCAN may be sent twice")
	}
}

func TestLexRange(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string][2]string{
		"":         {"[n", "(o"},
		"a":        {"[na", "(nb"},
		"a\xff":    {"[na\xff", "(nb"},
		"\xff\xff": {"[n\xff\xff", "(o"},
		"a\x00":    {"[na\x00", "(na\x01"},
	} {
		if least, beyond := lexRange(prefix); least != want[0] || beyond != want[1] {
			t.Errorf("the range of %q is %q, %q", prefix, least, beyond)
		}
	}
}

// FuzzLexRange checks that the range has exactly the names under the prefix.
func FuzzLexRange(f *testing.F) {
	f.Add("a", "ab")
	f.Add("\xff", "\xff\xff")
	f.Add("", "c")
	f.Fuzz(func(t *testing.T, prefix, name string) {
		least, beyond := lexRange(prefix)
		for _, name := range []string{name, prefix + name} {
			in := "["+"n"+name >= least && "n"+name < beyond[1:]
			if in != strings.HasPrefix(name, prefix) {
				t.Errorf("%q lies in the range of %q: %v", name, prefix, in)
			}
		}
		for _, member := range []string{"c", "t" + name} {
			if member >= least[1:] && member < beyond[1:] {
				t.Errorf("%q lies in the range of %q", member, prefix)
			}
		}
	})
}

// FuzzCutValue checks that keys come apart as they were put together.
func FuzzCutValue(f *testing.F) {
	f.Add("s", "n", true)
	f.Add("}:v:", "}:v:", false)
	f.Fuzz(func(t *testing.T, scope, name string, clustered bool) {
		p := &Provider{prefix: "rt:"}
		if clustered {
			p.buckets = 16
		}
		k := provider.Key{Scope: scope, Name: name}
		if b, n := cutValue(p.keyOf(k)); b != p.bucketOf(k) || n != name {
			t.Errorf("%q comes apart as %q and %q", p.keyOf(k), b, n)
		}
	})
}
