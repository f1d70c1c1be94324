package provider

import (
	"context"
	"fmt"
	"time"
)

// Null returns a store that keeps nothing. A cache on it runs a load for every
// read; readers of one key at the same time still share one load.
func Null() CacheProvider { return null{} }

type null struct{}

func (null) InProcess() {}

func (null) Get(context.Context, Key) (Entry, bool, error) { return Entry{}, false, nil }

func (null) Set(_ context.Context, _ Key, _ Entry, ttl time.Duration) error { return CheckTTL(ttl) }

func (null) Delete(context.Context, ...Key) error { return nil }

func (null) DeletePrefix(context.Context, string, string) (int, error) { return 0, nil }

// CheckTTL returns an error if ttl is zero or negative, and nil otherwise.
// Every store refuses such a TTL with this error.
func CheckTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("provider: ttl %v: must be positive, or NoExpiry", ttl)
	}
	return nil
}
