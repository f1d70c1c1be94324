package readthrough_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

const (
	requests    = 100
	requestSize = 1 << 20
	// requestHeap is what a few requests need, and less than all of them.
	requestHeap = 16 * requestSize
)

// cutKey returns a key that is a part of a request, as a router cuts it from a path. Keys of different
// numbers differ.
func cutKey(n int) string {
	request := strings.Repeat(string(rune('a'+n%26)), n+1) + strings.Repeat("-", requestSize)
	return request[:n+1]
}

// refusingStore keeps nothing, and confirms no removal until it is healed.
type refusingStore struct {
	provider.CacheProvider

	healed atomic.Bool
}

func (s *refusingStore) Delete(context.Context, ...provider.Key) error {
	if s.healed.Load() {
		return nil
	}
	return errStore
}

// TestKeyKeepsNoRequestAlive: whatever a scope keeps of a key after the call, it does not keep the
// string that the key was cut from.
func TestKeyKeepsNoRequestAlive(t *testing.T) {
	fail := func(context.Context) (int, error) { return 0, errFault }
	quiet := func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.OnError = func(*readthrough.OpError) {} }
	for name, test := range map[string]struct {
		pending bool // the store confirms no removal
		scope   func(*readthrough.ScopeOptions)
		use     func(ctx context.Context, s *readthrough.CachedScope, key string) error
	}{
		"stored by a read": {use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.Wrap(ctx, s, key, newSource(1).load)
			return err
		}},
		"stored by a bulk read": {use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.WrapMany(ctx, s, []string{key, key + "2"}, func(id string) string { return id[:len(key)] + id[len(key):] },
				func(_ context.Context, ids []string) (map[string]int, error) { return map[string]int{ids[0]: 1}, nil })
			return err
		}},
		"stored by a put": {use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.Put(ctx, s, key, newSource(1).load)
			return err
		}},
		"replaced": {use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			if _, err := readthrough.Refresh(ctx, s, key, newSource(1).load); err != nil {
				return err
			}
			_, err := readthrough.Refresh(ctx, s, strings.Clone(key), newSource(2).load)
			return err
		}},
		"in the index": {use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			if _, err := s.InvalidatePrefix(ctx, "none:"); err != nil {
				return err
			}
			_, err := readthrough.Wrap(ctx, s, key, newSource(1).load)
			return err
		}},
		"stored with a validator": {use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.Wrap(ctx, s, strings.Clone(key), func(ctx context.Context) (int, error) {
				readthrough.LoadOf(ctx, key).SetValidator(key)
				return 1, nil
			})
			return err
		}},
		"of a load that failed": {
			scope: func(o *readthrough.ScopeOptions) { o.ErrorTTL = time.Hour },
			use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
				_, err := readthrough.Wrap(ctx, s, key, fail)
				if err == errFault { //nolint:errorlint // returned as it is
					return nil
				}
				return err
			},
		},
		"of a pending invalidation": {
			pending: true,
			use: func(ctx context.Context, s *readthrough.CachedScope, key string) error {
				if err := s.Invalidate(ctx, key); err == nil {
					return errFault
				}
				return nil
			},
		},
		"invalidated with a lag": {
			scope: func(o *readthrough.ScopeOptions) { o.ReplicaLag = time.Hour },
			use:   func(ctx context.Context, s *readthrough.CachedScope, key string) error { return s.Invalidate(ctx, key) },
		},
	} {
		bubble(t, name, func(t *testing.T) {
			options := []func(*setup){with(quiet)}
			refusing := &refusingStore{CacheProvider: provider.Null()}
			if test.pending {
				options = append(options, on(plain(refusing)))
			}
			if test.scope != nil {
				options = append(options, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { test.scope(o) }))
			}
			s := newScope(t, options...)
			t.Cleanup(func() { refusing.healed.Store(true) })
			before := heap()
			for n := range requests {
				require.NoError(t, test.use(t.Context(), s, cutKey(n)))
			}
			synctest.Wait()
			assert.Less(t, heap(), before+requestHeap, "bytes that are kept after %d requests of %d", requests, requestSize)
			assert.Zero(t, s.Stats().InFlight)
		})
	}
}

// TestStoreKeepsNoRequestAlive: nor does the memory store, when it is used without a cache.
func TestStoreKeepsNoRequestAlive(t *testing.T) {
	store := newStore(t)
	before := heap()
	for n := range requests {
		key := provider.Key{Scope: cutKey(n), Name: cutKey(n)}
		items := []provider.Item{{Key: key, Entry: provider.Entry{Value: n}, TTL: provider.NoExpiry}}
		require.NoError(t, store.SetMany(t.Context(), items))
		require.NoError(t, store.Set(t.Context(), key, provider.Entry{Value: n}, time.Hour))
	}
	assert.Less(t, heap(), before+requestHeap, "bytes that are kept")
	page, err := store.List(t.Context(), provider.ListOptions{})
	require.NoError(t, err)
	assert.Less(t, heap(), before+requestHeap, "bytes that are kept by a listing")
	assert.Equal(t, requests, page.Total)
}
