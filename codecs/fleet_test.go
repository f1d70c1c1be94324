package codecs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/codecs/internal/shop"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// process is a process of a fleet.
type process struct {
	name  string
	scope *readthrough.CachedScope
	loads int
}

func newProcess(t *testing.T, server *redistest.Server, codec provider.Codec) *process {
	t.Helper()
	store, err := redisprovider.Open("redis://"+server.Addr(), redisprovider.Options{Codec: codec})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{ProviderTimeout: 10 * time.Second, InvalidateTimeout: 10 * time.Second, OnError: func(*readthrough.OpError) {}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	scope, err := cache.Scope("fleet", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	return &process{name: codec.Name(), scope: scope}
}

// read reads a user and a message, of which the source has the version n.
func (p *process) read(t *testing.T, n int) {
	t.Helper()
	u, err := readthrough.Wrap(t.Context(), p.scope, "user", func(context.Context) (user, error) { p.loads++; return sampleUser(n), nil })
	require.NoError(t, err, p.name)
	assert.Equal(t, utc(sampleUser(n)), utc(u), p.name)
	m, err := readthrough.Wrap(t.Context(), p.scope, "message", func(context.Context) (*shop.User, error) { p.loads++; return userMessage(n), nil })
	require.NoError(t, err, p.name)
	assert.True(t, proto.Equal(userMessage(n), m), p.name)
}

// TestMixedFleet: while a deploy switches the codec, the entries of the others are misses, in both directions. No read
// fails, none is stale, and each process sees the invalidations of the other.
func TestMixedFleet(t *testing.T) {
	t.Parallel()
	redistest.Require(t)
	server := redistest.Start(t, redistest.Options{})
	for i, codec := range all(t) {
		for _, other := range all(t)[:i] {
			before, after := newProcess(t, server, other), newProcess(t, server, codec)
			for _, pair := range [][2]*process{{before, after}, {after, before}} {
				one, two := pair[0], pair[1]
				require.NoError(t, one.scope.Invalidate(t.Context(), "user", "message"))
				one.read(t, 1)
				one.loads, two.loads = 0, 0
				two.read(t, 1)
				assert.Equal(t, 2, two.loads, "%s reads nothing of %s", two.name, one.name)
				two.loads = 0
				one.read(t, 1)
				assert.Equal(t, 2, one.loads, "%s reads nothing of %s", one.name, two.name)
				require.NoError(t, two.scope.Invalidate(t.Context(), "user", "message"))
				one.read(t, 2)
				two.read(t, 2)
				assert.Equal(t, 2, two.loads)
			}
		}
	}
}
