package redisprovider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// Frames as the server has them, of an absence and of the text "a", of 1970.
var (
	absentFrame = "\xc1r\x02\x02\x00" + strings.Repeat("\x00", 36)
	valueFrame  = "\xc1r\x02\x01\x00" + strings.Repeat("\x00", 36) + "\x04" + "\x00\x00\x00\x06" + "\x00\x00\x00\x03" + `jsonstring"a"`
)

// foreigners put something under a Redis key that is no entry. bulk says whether
// a bulk read from one server sees that there is something.
func foreigners() map[string]struct {
	put  func(ctx context.Context, c redis.UniversalClient, key string) error
	bulk bool
} {
	type foreigner = struct {
		put  func(ctx context.Context, c redis.UniversalClient, key string) error
		bulk bool
	}
	text := func(s string) foreigner {
		return foreigner{func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.Set(ctx, key, s, 0).Err()
		}, true}
	}
	return map[string]foreigner{
		"empty":       text(""),
		"JSON":        text(`{"a":1}`),
		"number":      text("42"),
		"old frame":   text("\xc1r\x01\x02\x00\x00"),
		"next frame":  text("\xc1r\x03" + absentFrame[3:]),
		"next kind":   text("\xc1r\x02\x05" + absentFrame[4:]),
		"next flag":   text("\xc1r\x02\x02\x04" + absentFrame[5:]),
		"cut head":    text(absentFrame[:30]),
		"more":        text(absentFrame + "\x00"),
		"cut frame":   text(valueFrame[:len(valueFrame)-1]),
		"cut lengths": text(valueFrame[:len(absentFrame)+3]),
		"other codec": text(strings.Replace(valueFrame, "json", "gobs", 1)),
		"cut lease":   text("\xc1r\x02\x03\x00token"),
		"cut leased":  text("\xc1r\x02\x01\x02" + "token"),
		"no end":      text("\xc1r\x02\x02\x02" + strings.Repeat("t", 48) + absentFrame[5:]),
		"validator":   text(absentFrame[:len(absentFrame)-4] + "\xff\xff\xff\xff" + "short"),
		"hash": {func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.HSet(ctx, key, "field", "value").Err()
		}, false},
		"list": {func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.RPush(ctx, key, "value").Err()
		}, false},
		"sorted set": {func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.ZAdd(ctx, key, redis.Z{Member: "value"}).Err()
		}, false},
	}
}

// TestForeignBytes checks that what is no entry is a reported miss, and that
// each way to store something replaces it.
func TestForeignBytes(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	checkForeign(t, p, client, false)
}

func TestForeignBytesOnCluster(t *testing.T) {
	t.Parallel()
	client := newClusterClient(t, redistest.StartCluster(t, redistest.Options{}))
	checkForeign(t, newProvider(t, client, redisprovider.Options{}), client, true)
}

func checkForeign(t *testing.T, p *redisprovider.Provider, client redis.UniversalClient, bulkSeesAll bool) {
	t.Helper()
	for name, f := range foreigners() {
		k := key("s", name)
		put := func() {
			t.Helper()
			client.Del(t.Context(), p.KeyOf(k))
			require.NoError(t, f.put(t.Context(), client, p.KeyOf(k)))
		}
		put()
		wantUndecodable(t, p, k)
		results, err := p.GetMany(t.Context(), []provider.Key{k, k})
		assert.NoError(t, err, "%s: GetMany", name)
		assert.Len(t, results, 2, "%s: GetMany", name)
		for _, r := range results {
			assert.False(t, r.Found, "%s: a bulk read finds %v, %v", name, r.Found, r.Err)
			assert.Equal(t, f.bulk || bulkSeesAll, errors.Is(r.Err, provider.ErrUndecodable), "%s: a bulk read finds %v, %v", name, r.Found, r.Err)
		}
		mustSet(t, p, k, "replaced")
		wantValue(t, p, k, "replaced")
		put()
		mustSetMany(t, p, []provider.Key{k}, "replaced again")
		wantValue(t, p, k, "replaced again")
		put()
		assert.NoError(t, p.Delete(t.Context(), k), name)
		wantMiss(t, p, k)
	}
}

// TestNeighbours checks that the store removes nothing that is not its own.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{KeyPrefix: "shop:"})
	checkNeighbours(t, p, client, "shop:{s#1}:v:a")
}

func TestNeighboursOnCluster(t *testing.T) {
	t.Parallel()
	client := newClusterClient(t, redistest.StartCluster(t, redistest.Options{}))
	checkNeighbours(t, newProvider(t, client, redisprovider.Options{KeyPrefix: "shop:"}), client, "shop:{s}:v:a")
}

func checkNeighbours(t *testing.T, p *redisprovider.Provider, client redis.UniversalClient, more ...string) {
	t.Helper()
	neighbours := []string{
		"", "s", "shop", "shop:", "shop:s", "shop:s2:a", "shop2:s:a", "shop:t:a", "SHOP:s:a", "shopXs:a", "xshop:s:a",
		"shop:s%3A:a", "other:s:a", "rt:s:a", "shop:*:a", "shop:?:a", "shop:{s2}:v:a", "shop:{s}:x:a", "shop:{s", "shop:{s}",
		"shop:{s#x}:v:a", "shop:{s#99}:v:a", "shop2:{s}:v:a", "SHOP:{s}:v:a", "xshop:{s}:v:a", "shop:{t}:v:a", "shop:{*}:v:a1",
	}
	neighbours = append(neighbours, more...)
	for _, name := range neighbours {
		require.NoError(t, client.Set(t.Context(), name, "neighbour", 0).Err())
	}
	survive := func(after string) {
		t.Helper()
		for _, name := range neighbours {
			assert.Equal(t, "neighbour", client.Get(t.Context(), name).Val(), "%q did not survive %s", name, after)
		}
	}
	for _, prefix := range []string{"", "a", "*", "?", "[a-z]", "\\", "a*"} {
		mustSet(t, p, key("s", prefix+"1"), "v")
		wantRemoved(t, p, "s", prefix, 1)
		survive(fmt.Sprintf("DeletePrefix %q", prefix))
	}
	for _, scope := range []string{"*", "?", "[s]", "", "s*", "\\s"} {
		mustSet(t, p, key(scope, "b"), "v")
		want := 1
		wantRemoved(t, p, scope, "b", want)
		survive(fmt.Sprintf("DeletePrefix in scope %q", scope))
	}
	assert.NoError(t, p.Delete(t.Context(), key("s", "*"), key("*", "a*"), key("", "")))
	survive("Delete")
}

// TestGlobBytes checks for every byte that a prefix that ends in it removes what
// begins with it, and not what another byte stands in its place.
func TestGlobBytes(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{ScanCount: 5000})
	for b := range 256 {
		mustSet(t, p, key("s", string([]byte{'p', byte(b), 'x'})), "v")
	}
	for b := range 256 {
		wantRemoved(t, p, "s", string([]byte{'p', byte(b)}), 1)
	}
	for _, prefix := range []string{`list:{"a":[1]}`, "[^a]", "[a-z]*", `\*`, `\\?`, "**", "a]b^c-d", "\xff\xfe*"} {
		for _, name := range []string{prefix, prefix + "x", prefix + "*", "x" + prefix, "list:{\"a\":1}", "b", "ax", "*", "bxx"} {
			mustSet(t, p, key("g", name), "v")
		}
		wantRemoved(t, p, "g", prefix, 3)
		wantRemoved(t, p, "g", "", 6)
	}
}

// TestBinaryAndHugeNames checks names and scopes that no text has.
func TestBinaryAndHugeNames(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{})
	var every []byte
	for b := range 256 {
		every = append(every, byte(b))
	}
	huge := strings.Repeat("k", 1<<20)
	for _, k := range []provider.Key{
		key(string(every), string(every)), key("s", huge), key(huge, "n"), key("", ""), key("\r\n", "$5\r\nhello\r\n"),
	} {
		mustSet(t, p, k, "v")
		wantValue(t, p, k, "v")
		wantRemoved(t, p, k.Scope, k.Name, 1)
		wantMiss(t, p, k)
	}
	// Messages stay short.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := p.Get(ctx, key("s", huge))
	if assert.Error(t, err, "the bytes of an error") {
		assert.LessOrEqual(t, len(err.Error()), 500, "the bytes of an error")
	}
}

// TestExpiryOnTheWire checks the TTL that the server is given.
func TestExpiryOnTheWire(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t)
	mustSet(t, p, key("s", "a"), "load the script")
	tap := proxy.Record(func(c redistest.Command) bool { return c.Name() == "EVALSHA" })
	ttls := map[time.Duration]string{
		time.Nanosecond: "1", 1500 * time.Microsecond: "2", 15 * time.Second: "15000", provider.NoExpiry: "0",
	}
	for ttl, want := range ttls {
		before := len(tap.Captured())
		require.NoError(t, p.Set(t.Context(), key("s", "a"), provider.Entry{Value: 1}, ttl))
		args := tap.Wait(t, before+1)[before].Args
		assert.Equal(t, want, args[len(args)-1], "ttl %v: sent %q", ttl, args)
	}
	mustSet(t, p, key("s", "a"), "v")
	// A set for ever after one with an end, and the other way round.
	assert.NotEqual(t, int64(-2), s.Do("PTTL", "rt:{s}:v:a"), "the entry is gone")
}

// TestExpiredEntriesDoNotCount checks the count of a prefix delete, and that an
// entry that is stored again without an end keeps none.
func TestExpiredEntriesDoNotCount(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	for i, k := range numbered("s", 20) {
		ttl := time.Hour
		if i < 10 {
			ttl = time.Millisecond
		}
		require.NoError(t, p.Set(t.Context(), k, provider.Entry{Value: i}, ttl))
	}
	poll(t, func() bool { _, found, _ := p.Get(t.Context(), numbered("s", 10)[9]); return !found })
	wantRemoved(t, p, "s", "", 10)

	k := key("s", "k")
	require.NoError(t, p.Set(t.Context(), k, provider.Entry{Value: "v"}, time.Minute))
	require.NoError(t, p.Set(t.Context(), k, provider.Entry{Value: "v"}, provider.NoExpiry))
	assert.Equal(t, int64(-1), s.Do("PTTL", "rt:{s}:v:k"), "PTTL")
}

// poll waits until ok.
func poll(tb testing.TB, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(proofs.Patience()); !ok(); time.Sleep(2 * time.Millisecond) {
		require.False(tb, time.Now().After(deadline), "gave up waiting")
	}
}
