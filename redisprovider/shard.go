package redisprovider

import "github.com/readthrough/readthrough/provider"

// clusterShards is the number of shards of a cluster: a shard is a range of as many slots each, not
// a node. Slots move and masters change, and a range has one master at almost all times. More
// ranges would fit the nodes better, and would each have to fail some times in an outage of all.
const clusterShards = 32

// Shards implements [provider.Sharded]: a range of slots of a cluster is a shard.
func (p *Provider) Shards() int {
	if p.cluster == nil {
		return 1
	}
	return clusterShards
}

// Shard implements [provider.Sharded].
func (p *Provider) Shard(key provider.Key) int {
	if p.cluster == nil {
		return 0
	}
	return slotOf(p.bucketOf(key)) * clusterShards / clusterSlots
}
