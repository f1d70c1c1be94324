package redisprovider_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
		if err := set(fits); err != nil {
			t.Errorf("%s of 100 bytes: %v", name, err)
		}
		wantValue(t, p, k, fits)
		if err := set(big); !errors.Is(err, provider.ErrTooLarge) {
			t.Errorf("%s of 101 bytes: %v, want ErrTooLarge", name, err)
		}
		wantMiss(t, p, k)
		mustSet(t, p, k, "old")
		if err := set(func() {}); !errors.Is(err, provider.ErrUnencodable) {
			t.Errorf("%s of a function: %v, want ErrUnencodable", name, err)
		}
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
	if err != nil || !results[0].Found || len(decoded(t, results[0].Entry)) != len(huge) {
		t.Errorf("a bulk read: %v", err)
	}
	byDefault := newProvider(t, client, redisprovider.Options{})
	if err := byDefault.Set(t.Context(), k, provider.Entry{Value: huge}, time.Hour); !errors.Is(err, provider.ErrTooLarge) {
		t.Errorf("the default lets 16 MiB through: %v", err)
	}
	wantMiss(t, p, k)
}

// TestRefusedButNotRemoved checks that an error claims that nothing is kept only
// if that is confirmed.
func TestRefusedButNotRemoved(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr(), resigned), redisprovider.Options{MaxValueBytes: 10})
	k := key("s", "k")
	s.Stop()
	big := provider.Entry{Value: strings.Repeat("x", 100)}
	for name, err := range map[string]error{
		"Set":     p.Set(t.Context(), k, big, time.Hour),
		"SetMany": p.SetMany(t.Context(), []provider.Item{{Key: k, Entry: big, TTL: time.Hour}}),
	} {
		if err == nil || errors.Is(err, provider.ErrTooLarge) || !strings.Contains(err.Error(), "not removed") {
			t.Errorf("%s: %v; want an error that does not match ErrTooLarge", name, err)
		}
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
	if !errors.Is(err, provider.ErrTooLarge) || !errors.Is(err, provider.ErrUnencodable) {
		t.Errorf("the error is %v", err)
	}
	for _, want := range []string{"name:1", "name:2", "name:3", "name:4", "name:5"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
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
	if err := newProvider(t, client, redisprovider.Options{}).Close(); err != nil {
		t.Error(err)
	}
	wantValue(t, p, key("s", "k"), "v")
	_ = client.Close()
	if _, _, err := p.Get(t.Context(), key("s", "k")); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("after the client was closed: %v", err)
	}
}
