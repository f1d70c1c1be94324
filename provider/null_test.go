package provider_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
)

func TestNullKeepsNothing(t *testing.T) {
	ctx := t.Context()
	null := provider.Null()
	key := provider.Key{Scope: "s", Name: "n"}
	for _, entry := range []provider.Entry{{Value: "v"}, {Value: nil}, {Absent: true}} {
		for _, ttl := range []time.Duration{1, time.Hour, provider.NoExpiry} {
			assert.NoError(t, null.Set(ctx, key, entry, ttl), "Set with ttl %v", ttl)
			got, found, err := null.Get(ctx, key)
			assert.NoError(t, err, "Get: a miss")
			assert.False(t, found, "Get: a miss")
			assert.Nil(t, got.Value, "Get: a miss")
			assert.False(t, got.Absent, "Get: a miss")
		}
	}
	n, err := null.DeletePrefix(ctx, "s", "")
	assert.NoError(t, err, "DeletePrefix")
	assert.Zero(t, n, "DeletePrefix")
	for _, keys := range [][]provider.Key{nil, {key}, {key, key}} {
		assert.NoError(t, null.Delete(ctx, keys...), "Delete of %d keys", len(keys))
	}
}

func TestNullRefusesTTLs(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		assert.Error(t, provider.Null().Set(t.Context(), provider.Key{}, provider.Entry{}, ttl), "Set with ttl %v returned nil, want an error", ttl)
	}
}

// The cache calls Null directly, without deadline and breaker, and nothing else
// of it is to be found by type assertion.
func TestNullCapabilities(t *testing.T) {
	null := provider.Null()
	if _, ok := null.(provider.InProcess); assert.True(t, ok, "Null is not marked as in the process") {
		null.(provider.InProcess).InProcess()
	}
	_, ok := null.(provider.Batcher)
	assert.False(t, ok, "Null is a Batcher")
	_, ok = null.(provider.Inspector)
	assert.False(t, ok, "Null is an Inspector")
}

// Nothing in Null depends on the context: a miss is its answer to everybody.
func TestNullWithCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, found, err := provider.Null().Get(ctx, provider.Key{})
	assert.NoError(t, err, "Get: a miss")
	assert.False(t, found, "Get: a miss")
}

func TestNullAllocatesNothing(t *testing.T) {
	ctx, null := t.Context(), provider.Null()
	key := provider.Key{Scope: "s", Name: "n"}
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = null.Get(ctx, key) }), "allocations of Get")
}
