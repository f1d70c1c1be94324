package redisprovider

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		assert.Equal(t, c.want, p.keyOf(provider.Key{Scope: c.scope, Name: c.name}), "the key of %q, %q", c.scope, c.name)
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
				require.Fail(t, "two names have one key", "%q and %q are both %q", k, other, p.keyOf(k))
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
		require.Equal(t, a == b, p.keyOf(a) == p.keyOf(b), "%q and %q: keys %q and %q", a, b, p.keyOf(a), p.keyOf(b))
		// A scope's keys, and no others, begin with its root.
		root := p.keyOf(provider.Key{Scope: scope1})
		require.Equal(t, scope1 == scope2, strings.HasPrefix(p.keyOf(b), root), "scope %q: the key %q of scope %q begins with %q", scope1, p.keyOf(b), scope2, root)
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
		assert.Equal(t, want, matchPrefix(prefix), "the pattern for %q", prefix)
	}
}

func TestQuoteCutsLongKeys(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `"a\n"`, quote("a\n"))
	got := quote(strings.Repeat("\x00", 1<<20))
	assert.LessOrEqual(t, len(got), 400, "an error that is too long")
	assert.Contains(t, got, "1048576 bytes", "an error that is too long")
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
		got, ends := pxOf(ttl)
		assert.Equal(t, want, got, "pxOf(%v)", ttl)
		assert.True(t, ends, "pxOf(%v)", ttl)
	}
	got, ends := pxOf(provider.NoExpiry)
	assert.False(t, ends, "pxOf(NoExpiry) = %d; want no end", got)
}

func TestCommandsThatAreSentOnceStaySo(t *testing.T) {
	t.Parallel()
	c := call{script: newScript("return 1"), keys: []string{"key"}, args: []any{"value"}}.cmd(t.Context())
	assert.True(t, c.NoRetry(), "a script may be sent twice")
	assert.True(t, c.Clone().NoRetry(), "a script may be sent twice")
	assert.Equal(t, fmt.Sprint(c.Args()), fmt.Sprint(c.Clone().Args()), "the arguments of the clone")
	assert.True(t, newScanOnce(t.Context(), 0, "*", 1).NoRetry(), "a SCAN may be sent twice")
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
		least, beyond := lexRange(prefix)
		assert.Equal(t, want[0], least, "the range of %q", prefix)
		assert.Equal(t, want[1], beyond, "the range of %q", prefix)
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
			assert.Equal(t, strings.HasPrefix(name, prefix), in, "whether %q lies in the range of %q", name, prefix)
		}
		for _, member := range []string{"c", "t" + name} {
			if member >= least[1:] {
				assert.GreaterOrEqual(t, member, beyond[1:], "lies in the range of %q", prefix)
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
		b, n := cutValue(p.keyOf(k))
		assert.Equal(t, p.bucketOf(k), b, "%q comes apart", p.keyOf(k))
		assert.Equal(t, name, n, "%q comes apart", p.keyOf(k))
	})
}

// TestErrorsHideKeys: what is logged of an error names no key, and no error has a part of an answer that
// the client could not parse.
func TestErrorsHideKeys(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	for want, err := range map[string]error{
		"redisprovider: get of a key: connection refused":  failed("get", "rt:{s}:v:secret", cause),
		"redisprovider: set of 3 keys: connection refused": failedMany("set", []string{"secret", "b", "c"}, cause),
	} {
		assert.Contains(t, err.Error(), "secret")
		assert.ErrorIs(t, err, cause)
		hides, ok := err.(slog.LogValuer)
		require.True(t, ok)
		assert.Equal(t, want, hides.LogValue().String())
	}
	garbled := errors.New(`redis: can't parse "secret"`)
	err := failed("get", "k", garbled)
	assert.Equal(t, `redisprovider: get "k": redis: can't parse …`, err.Error())
	assert.ErrorIs(t, err, garbled)
	assert.Equal(t, cause, unquoted(cause))
}
