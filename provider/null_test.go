package provider_test

import (
	"context"
	"testing"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func TestNullKeepsNothing(t *testing.T) {
	ctx := t.Context()
	null := provider.Null()
	key := provider.Key{Scope: "s", Name: "n"}
	for _, entry := range []provider.Entry{{Value: "v"}, {Value: nil}, {Absent: true}} {
		for _, ttl := range []time.Duration{1, time.Hour, provider.NoExpiry} {
			if err := null.Set(ctx, key, entry, ttl); err != nil {
				t.Errorf("Set with ttl %v: %v", ttl, err)
			}
			if got, found, err := null.Get(ctx, key); found || err != nil || got.Value != nil || got.Absent {
				t.Errorf("Get = %+v, %v, %v; want a miss", got, found, err)
			}
		}
	}
	if n, err := null.DeletePrefix(ctx, "s", ""); n != 0 || err != nil {
		t.Errorf("DeletePrefix = %d, %v; want 0, nil", n, err)
	}
	for _, keys := range [][]provider.Key{nil, {key}, {key, key}} {
		if err := null.Delete(ctx, keys...); err != nil {
			t.Errorf("Delete of %d keys: %v", len(keys), err)
		}
	}
}

func TestNullRefusesTTLs(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		if err := provider.Null().Set(t.Context(), provider.Key{}, provider.Entry{}, ttl); err == nil {
			t.Errorf("Set with ttl %v returned nil, want an error", ttl)
		}
	}
}

// The cache calls Null directly, without deadline and breaker, and nothing else
// of it is to be found by type assertion.
func TestNullCapabilities(t *testing.T) {
	null := provider.Null()
	if _, ok := null.(provider.InProcess); !ok {
		t.Error("Null is not marked as in the process")
	} else {
		null.(provider.InProcess).InProcess()
	}
	if _, ok := null.(provider.Batcher); ok {
		t.Error("Null is a Batcher")
	}
	if _, ok := null.(provider.Inspector); ok {
		t.Error("Null is an Inspector")
	}
}

// Nothing in Null depends on the context: a miss is its answer to everybody.
func TestNullWithCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, found, err := provider.Null().Get(ctx, provider.Key{}); found || err != nil {
		t.Errorf("Get = %v, %v; want a miss", found, err)
	}
}

func TestNullAllocatesNothing(t *testing.T) {
	ctx, null := t.Context(), provider.Null()
	key := provider.Key{Scope: "s", Name: "n"}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = null.Get(ctx, key) }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}
