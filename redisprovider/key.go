package redisprovider

import (
	"strconv"
	"strings"

	"github.com/readthrough/readthrough/provider"
)

// A bucket is what the Redis keys of a part of a scope begin with: the prefix of
// the store, and a hash tag that keeps the part together in one slot of a
// cluster. All that a script touches lies in one bucket.
type bucket string

// value is the key of an entry or a lease.
func (b bucket) value(name string) string { return string(b) + valueMark + name }

// holds is the key of the holds on a name.
func (b bucket) holds(name string) string { return string(b) + "h:" + name }

// prefixHolds is the key of the holds on prefixes.
func (b bucket) prefixHolds() string { return string(b) + "p" }

// index is the key of the list of values and leases.
func (b bucket) index() string { return string(b) + "i" }

// nothing is a key that never exists.
func (b bucket) nothing() string { return string(b) + "-" }

// valueMark begins what follows the bucket in the key of an entry or a lease.
const valueMark = "v:"

// bucketOf returns the bucket of key.
func (p *Provider) bucketOf(key provider.Key) bucket {
	if p.buckets == 0 {
		return bucket(p.prefix + "{" + escapeScope(key.Scope) + "}:")
	}
	return p.numbered(key.Scope, int(hashName(key.Name)%uint32(p.buckets))) //nolint:gosec // at most maxBuckets
}

// bucketsOf returns all buckets of a scope.
func (p *Provider) bucketsOf(scope string) []bucket {
	if p.buckets == 0 {
		return []bucket{p.bucketOf(provider.Key{Scope: scope})}
	}
	buckets := make([]bucket, p.buckets)
	for i := range buckets {
		buckets[i] = p.numbered(scope, i)
	}
	return buckets
}

func (p *Provider) numbered(scope string, i int) bucket {
	return bucket(p.prefix + "{" + escapeScope(scope) + "#" + strconv.Itoa(i) + "}:")
}

// hashName spreads names over buckets: FNV-1a. Processes that share a store have
// to agree on it, so it never changes.
func hashName(name string) uint32 {
	hash := uint32(2166136261)
	for i := range len(name) {
		hash = (hash ^ uint32(name[i])) * 16777619
	}
	return hash
}

// keyOf returns the Redis key of key.
func (p *Provider) keyOf(key provider.Key) string {
	if p.buckets == 0 {
		return p.prefix + "{" + escapeScope(key.Scope) + "}:" + valueMark + key.Name // in one allocation
	}
	return p.bucketOf(key).value(key.Name)
}

// keysOf returns the Redis keys of keys.
func (p *Provider) keysOf(keys []provider.Key) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = p.keyOf(key)
	}
	return names
}

// cutValue takes the key of an entry or a lease apart.
func cutValue(key string) (b bucket, name string) {
	i := strings.Index(key, "}:"+valueMark) + len("}:") // prefix and scope contain no braces
	return bucket(key[:i]), key[i+len(valueMark):]
}

// groupBySlot returns the indices of keys of values that one command or script can
// name together: on one server all of them, on a cluster those of each bucket.
func (p *Provider) groupBySlot(keys []string) [][]int {
	groups := make(map[bucket]int)
	var indices [][]int
	for i, key := range keys {
		var b bucket
		if p.cluster != nil {
			b, _ = cutValue(key)
		}
		g, ok := groups[b]
		if !ok {
			g = len(indices)
			groups[b], indices = g, append(indices, nil)
		}
		indices[g] = append(indices[g], i)
	}
	return indices
}

// escapeScope escapes what would end the hash tag of a bucket early, and ':',
// which keeps keys readable. It is injective, because '%' is escaped too.
func escapeScope(scope string) string {
	const special, hex = ":%{}#", "0123456789ABCDEF"
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
