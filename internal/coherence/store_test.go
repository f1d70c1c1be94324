//go:build unix

package coherence_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

func storeOptions(cfg *config) redisprovider.Options {
	return redisprovider.Options{KeyPrefix: keyPrefix, FenceByServer: cfg.Fence, NearLease: cfg.NearLease}
}

// others is how many keys there are that no operation touches.
const others = 40_000

// storeOthers stores them.
func storeOthers(ctx context.Context, cfg *config, client *redis.Client) error {
	if cfg.Subject != subjectOurs {
		pipe := client.Pipeline()
		for i := range others {
			pipe.Set(ctx, fmt.Sprintf("%sother:%d", keyPrefix, i), encode(value{Version: 1}), time.Hour)
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	store, err := newStore(cfg, client)
	if err != nil {
		return err
	}
	const part = 2000
	for n := 0; n < others; n += part {
		items := make([]provider.Item, part)
		for i := range items {
			items[i] = provider.Item{
				Key:   provider.Key{Scope: scopeName, Name: fmt.Sprintf("other:%d", n+i)},
				Entry: provider.Entry{Value: value{Version: 1}}, TTL: time.Hour,
			}
		}
		if err := store.SetMany(ctx, items); err != nil {
			return err
		}
	}
	return nil
}
