package redisprovider

import (
	"strconv"
	"strings"

	"github.com/readthrough/readthrough/provider"
)

// scopeEnd separates scope and name. Escaped scopes do not contain it.
const scopeEnd = ":"

// keyOf returns the Redis key of key.
func (p *Provider) keyOf(key provider.Key) string {
	return p.prefix + escapeScope(key.Scope) + scopeEnd + key.Name
}

// keysOf returns the Redis keys of keys.
func (p *Provider) keysOf(keys []provider.Key) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = p.keyOf(key)
	}
	return names
}

// escapeScope escapes what would end the scope early, and braces, so that a
// scope never makes a hash tag. It is injective, because '%' is escaped too.
func escapeScope(scope string) string {
	const special, hex = ":%{}", "0123456789ABCDEF"
	if !strings.ContainsAny(scope, special) {
		return scope
	}
	var b strings.Builder
	for i := range len(scope) {
		c := scope[i]
		if strings.IndexByte(special, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&0xf])
	}
	return b.String()
}

// matchPrefix returns the pattern for SCAN that matches exactly the keys that
// begin with prefix. Outside of brackets, which are escaped, no other byte is
// special to Redis; ']', '^' and '-' mean something inside of them only.
func matchPrefix(prefix string) string {
	var b strings.Builder
	for i := range len(prefix) {
		switch c := prefix[i]; c {
		case '*', '?', '[', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('*')
	return b.String()
}

// quote prints a Redis key for a message, cut if it is long.
func quote(key string) string {
	const most = 80
	if len(key) <= most {
		return strconv.Quote(key)
	}
	return strconv.Quote(key[:most]) + "… (" + strconv.Itoa(len(key)) + " bytes)"
}
