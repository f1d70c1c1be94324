package backend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestStateOfShards: one shard that is away shows, with when the first of them went.
func TestStateOfShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Backend{shards: &shards{all: make([]shard, 3)}}
		for i := range b.shards.all {
			b.shards.all[i].breaker.limit, b.shards.all[i].breaker.cooldown = 1, time.Minute
		}
		assert.Equal(t, State{Breaker: Closed, Shards: 3}, b.State())
		began := time.Now()
		b.record(demand{kind: writes, shard: 1}, storeFailed)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, State{Breaker: HalfOpen, Since: began, Opens: 1, Shards: 3, Away: 1}, b.State())
		b.record(demand{kind: writes, shard: 2}, storeFailed)
		assert.Equal(t, State{Breaker: Open, Since: began, Opens: 2, Shards: 3, Away: 2}, b.State())
		b.record(demand{kind: writes, shard: 1}, storeAnswered)
		b.record(demand{kind: writes, shard: 2}, storeAnswered)
		assert.Equal(t, State{Breaker: Closed, Opens: 2, Shards: 3}, b.State())
	})
}
