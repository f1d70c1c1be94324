package redisprovider_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestSizeLimit checks the limit to the byte. A JSON string has two quotes.
func TestSizeLimit(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{MaxValueBytes: 100})
	k := key("s", "k")
	fits, big := strings.Repeat("x", 98), strings.Repeat("x", 99)
	for name, set := range map[string]func(value any) error{
		"Set": func(value any) error { return p.Set(t.Context(), k, provider.Entry{Value: value}, time.Hour) },
		"SetMany": func(value any) error {
			return p.SetMany(t.Context(), []provider.Item{{Key: k, Entry: provider.Entry{Value: value}, TTL: time.Hour}})
		},
	} {
		assert.NoError(t, set(fits), "%s of 100 bytes", name)
		wantValue(t, p, k, fits)
		assert.ErrorIs(t, set(big), provider.ErrTooLarge, "%s of 101 bytes", name)
		wantMiss(t, p, k)
		mustSet(t, p, k, "old")
		assert.ErrorIs(t, set(func() {}), provider.ErrUnencodable, "%s of a function", name)
		wantMiss(t, p, k)
	}
}

func TestHugeValues(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{MaxValueBytes: 128 << 20})
	huge := strings.Repeat("0123456789abcdef", 1<<20) // 16 MiB
	k := key("s", "huge")
	mustSet(t, p, k, huge)
	wantValue(t, p, k, huge)
	results, err := p.GetMany(t.Context(), []provider.Key{k})
	require.NoError(t, err, "a bulk read")
	require.True(t, results[0].Found, "a bulk read")
	assert.True(t, decoded(t, results[0].Entry) == huge, "a bulk read returns another value") //nolint:testifylint // 16 MiB are not to be printed
	byDefault := newProvider(t, client, redisprovider.Options{})
	assert.ErrorIs(t, byDefault.Set(t.Context(), k, provider.Entry{Value: huge}, time.Hour), provider.ErrTooLarge, "the default lets 16 MiB through")
	wantMiss(t, p, k)
}

// TestRefusedButNotRemoved checks that an error claims that nothing is kept only
// if that is confirmed.
func TestRefusedButNotRemoved(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr(), resigned), redisprovider.Options{MaxValueBytes: 10})
	k := key("s", "k")
	wantMiss(t, p, k)
	s.Stop()
	big := provider.Entry{Value: strings.Repeat("x", 100)}
	for name, err := range map[string]error{
		"Set":     p.Set(t.Context(), k, big, time.Hour),
		"SetMany": p.SetMany(t.Context(), []provider.Item{{Key: k, Entry: big, TTL: time.Hour}}),
	} {
		assert.Error(t, err, "%s; want an error that does not match ErrTooLarge", name)
		assert.NotErrorIs(t, err, provider.ErrTooLarge, "%s; want an error that does not match ErrTooLarge", name)
		assert.ErrorContains(t, err, "not removed", "%s; want an error that does not match ErrTooLarge", name)
	}
}

// TestSetManyIsPerItem checks that refused items stop no others, in a bulk set
// of which they are part.
func TestSetManyIsPerItem(t *testing.T) {
	t.Parallel()
	server, _, _ := newOnServer(t, redisprovider.Options{MaxValueBytes: 50})
	checkPerItem(t, server)
	if redistest.Installed() {
		client := newClusterClient(t, redistest.StartCluster(t, redistest.Options{}))
		checkPerItem(t, newProvider(t, client, redisprovider.Options{MaxValueBytes: 50}))
	}
}

func checkPerItem(t *testing.T, p *redisprovider.Provider) {
	t.Helper()
	keys := numbered("s", 6)
	mustSetMany(t, p, keys, "old")
	item := func(i int, value any, ttl time.Duration) provider.Item {
		return provider.Item{Key: keys[i], Entry: provider.Entry{Value: value}, TTL: ttl}
	}
	err := p.SetMany(t.Context(), []provider.Item{
		item(0, "new", time.Hour),
		item(1, strings.Repeat("x", 100), time.Hour),
		item(2, make(chan int), time.Hour),
		item(3, "new", 0),
		item(4, strings.Repeat("x", 100), time.Hour),
		item(4, "second", time.Hour),
		item(5, "first", time.Hour),
		item(5, strings.Repeat("x", 100), time.Hour),
	})
	assert.ErrorIs(t, err, provider.ErrTooLarge)
	assert.ErrorIs(t, err, provider.ErrUnencodable)
	for _, want := range []string{"name:1", "name:2", "name:3", "name:4", "name:5"} {
		assert.ErrorContains(t, err, want)
	}
	wantValue(t, p, keys[0], "new")
	wantMiss(t, p, keys[1])
	wantMiss(t, p, keys[2])
	wantValue(t, p, keys[3], "old")
	wantValue(t, p, keys[4], "second")
	wantMiss(t, p, keys[5])
}

// TestTwoCodecs checks that bytes are never given to another codec.
func TestTwoCodecs(t *testing.T) {
	t.Parallel()
	a, client, _ := newOnServer(t, redisprovider.Options{})
	b := newProvider(t, client, redisprovider.Options{Codec: newNamedCodec("other")})
	k := key("s", "k")
	mustSet(t, a, k, "json")
	wantUndecodable(t, b, k)
	mustSet(t, b, k, "other")
	wantUndecodable(t, a, k)
	wantValue(t, b, k, "other")
}

// TestClientStaysOpen checks that the client is the caller's, who may close it
// first or last.
func TestClientStaysOpen(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	mustSet(t, p, key("s", "k"), "v")
	assert.NoError(t, newProvider(t, client, redisprovider.Options{}).Close())
	wantValue(t, p, key("s", "k"), "v")
	_ = client.Close()
	_, _, err := p.Get(t.Context(), key("s", "k"))
	assert.ErrorIs(t, err, redis.ErrClosed, "after the client was closed")
}
