package redisprovider

import "github.com/readthrough/readthrough/provider"

// KeyOf returns the Redis key of key.
func (p *Provider) KeyOf(key provider.Key) string { return p.keyOf(key) }

// IndexOf returns the Redis key of the index that lists key.
func (p *Provider) IndexOf(key provider.Key) string { return p.bucketOf(key).index() }

// HoldsOf returns the Redis keys of the holds on key and on prefixes.
func (p *Provider) HoldsOf(key provider.Key) (keyHolds, prefixHolds string) {
	b := p.bucketOf(key)
	return b.holds(key.Name), b.prefixHolds()
}
