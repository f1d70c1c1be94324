package redisprovider

import (
	"strconv"
	"strings"

	"github.com/readthrough/readthrough/provider"
)

// A bucket is the beginning of the Redis keys of a part of a scope: the prefix of
// the store and a hash tag, which keeps the part in one slot of a cluster. All
// keys of one script are in one bucket.
type bucket string

// value returns the key of an entry or a lease.
func (b bucket) value(name string) string { return string(b) + valueMark + name }

// holds returns the key of the holds on a name.
func (b bucket) holds(name string) string { return string(b) + "h:" + name }

// prefixHolds returns the key of the holds on prefixes.
func (b bucket) prefixHolds() string { return string(b) + "p" }

// holdsToTheEnd returns the key of the holds on prefixes that nobody gives up. The
// scripts derive it from prefixHolds.
func (b bucket) holdsToTheEnd() string { return string(b) + "l" }

// index returns the key of the index, which lists entries and leases.
func (b bucket) index() string { return string(b) + "i" }

// nothing returns a key that never exists.
func (b bucket) nothing() string { return string(b) + "-" }

// valueMark follows the bucket in the key of an entry or a lease.
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

// hashName spreads names over buckets by FNV-1a. It must never change: processes
// that share a store have to agree on it.
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
		return p.prefix + "{" + escapeScope(key.Scope) + "}:" + valueMark + key.Name // one allocation
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

// cutValue splits the key of an entry or a lease.
func cutValue(key string) (b bucket, name string) {
	i := strings.Index(key, "}:"+valueMark) + len("}:") // prefix and scope contain no braces
	return bucket(key[:i]), key[i+len(valueMark):]
}

// groupBySlot groups the indices of keys so that one command or script can name
// the keys of a group: one group on one server, one per bucket on a cluster.
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

// escapeScope escapes the bytes that would end the hash tag of a bucket early, and
// ':', so that keys stay readable. It is injective because it escapes '%' too.
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

// matchPrefix returns the SCAN pattern that matches exactly the keys that begin
// with prefix. Redis treats ']', '^' and '-' as special only inside brackets, and
// '[' is escaped.
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

// quote quotes a Redis key for a message, and cuts a long one.
func quote(key string) string {
	const most = 80
	if len(key) <= most {
		return strconv.Quote(key)
	}
	return strconv.Quote(key[:most]) + "… (" + strconv.Itoa(len(key)) + " bytes)"
}
