// Package byhand is the read-aside cache that everybody writes with go-redis, written with care.
package byhand

import (
	"context"
	"encoding/json"
	"fmt"
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
			_ = p.Client.Set(ctx, key(id), data, time.Minute).Err() // if it fails, the next read loads
		}
		return product, nil
	})
	product, _ = loaded.(shop.Product)
	return product, err
}

// Save changes a product.
func (p *Products) Save(ctx context.Context, product shop.Product) error {
	if err := p.Repo.Save(ctx, product); err != nil {
		return err
	}
	return p.Client.Del(ctx, key(product.ID)).Err()
}
