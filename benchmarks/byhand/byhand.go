// Package byhand is the read-aside cache that everybody writes with go-redis, written with care.
package byhand

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
)

// Products is the repository behind Redis.
type Products struct {
	Repo   *shop.Repository
	Client *redis.Client
	group  singleflight.Group
}

func key(id int64) string { return fmt.Sprintf("product:%d", id) }

// Get returns a product from Redis, or else from the database.
func (p *Products) Get(ctx context.Context, id int64) (product shop.Product, err error) {
	data, err := p.Client.Get(ctx, key(id)).Bytes()
	if err == nil && json.Unmarshal(data, &product) == nil {
		return product, nil
	}
	loaded, err, _ := p.group.Do(key(id), func() (any, error) {
		product, err := p.Repo.Get(ctx, id)
		if err != nil {
			return product, err
		}
		data, err := json.Marshal(product)
		if err == nil {
			err = p.Client.Set(ctx, key(id), data, time.Minute).Err()
		}
		if err != nil { // the next read loads again
			slog.WarnContext(ctx, "product is not cached", slog.Any("error", err))
		}
		return product, nil
	})
	if product, ok := loaded.(shop.Product); ok {
		return product, err
	}
	return product, err
}

// Save changes a product.
func (p *Products) Save(ctx context.Context, product shop.Product) error {
	if err := p.Repo.Save(ctx, product); err != nil {
		return err
	}
	return p.Client.Del(ctx, key(product.ID)).Err()
}
