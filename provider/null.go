package provider

import (
	"context"
	"fmt"
	"time"
)

// Null returns a store that keeps nothing. A cache on it loads on every read,
// but still once however many ask at the same time.
func Null() CacheProvider { return null{} }

type null struct{}

func (null) InProcess() {}

func (null) Get(context.Context, Key) (Entry, bool, error) { return Entry{}, false, nil }

func (null) Set(_ context.Context, _ Key, _ Entry, ttl time.Duration) error { return CheckTTL(ttl) }

func (null) Delete(context.Context, ...Key) error { return nil }

func (null) DeletePrefix(context.Context, string, string) (int, error) { return 0, nil }

// CheckTTL returns the error with which every store refuses a TTL that is zero
// or negative, and nil for all others.
func CheckTTL(ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("provider: ttl %v: must be positive, or NoExpiry", ttl)
	}
	return nil
}
