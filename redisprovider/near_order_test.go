package redisprovider_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// witness is the listener of a member. For each message, it notes whether a key is still there.
type witness struct {
	look func() bool

	mu    sync.Mutex // guards following
	there []bool
	until time.Time
}

func (w *witness) Removed(provider.Removed) {
	there := w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.there = append(w.there, there)
}

func (*witness) Lost() {}

func (w *witness) ServeUntil(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = t
}

// seen returns what was noted since the last call.
func (w *witness) seen() []bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := w.there
	w.there = nil
	return there
}

// join makes a strict member of p, which looks for a key of that prefix with each message. All removals after it wait
// until it has noted what it saw.
func join(t *testing.T, p *redisprovider.Provider, name string) *witness {
	t.Helper()
	w := &witness{look: func() bool {
		_, found, err := p.Get(t.Context(), key("s", name))
		assert.NoError(t, err)
		return found
	}}
	m, err := p.Join(provider.JoinOptions{Strict: true}, w)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	poll(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return time.Now().Before(w.until)
	})
	return w
}

// TestNearIsToldBehind: a server that knows the script which tells near caches, and not the one that removes, tells them
// again when it has removed. That is so when processes of other options were there first.
func TestNearIsToldBehind(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	o := redisprovider.Options{KeyPrefix: freshPrefix(), NearLease: 5 * time.Second}
	first, member := newProvider(t, newServerClient(t, s.Addr()), o), newProvider(t, newServerClient(t, s.Addr()), o)
	w := join(t, member, "list:1")
	_, err := first.DeletePrefix(t.Context(), "s", "") // the index is complete after it
	require.NoError(t, err)
	require.NoError(t, first.Set(t.Context(), key("s", "list:1"), provider.Entry{Value: 1}, time.Hour))
	w.seen()
	o.FenceByServer = true // other scripts
	second := newProvider(t, newServerClient(t, s.Addr()), o)
	_, err = second.DeletePrefix(t.Context(), "s", "list:")
	require.NoError(t, err)
	there := w.seen()
	require.Len(t, there, 2, "one message before the server had the script, and one behind it")
	assert.False(t, there[1], "the entry was there when the last message came")
}

// TestNearPrefixOfMany: near caches are told of a prefix twice, whatever it removes: behind the first removals, and
// behind the last.
func TestNearPrefixOfMany(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	o := redisprovider.Options{KeyPrefix: freshPrefix(), NearLease: 5 * time.Second}
	p, member := newProvider(t, newServerClient(t, s.Addr()), o), newProvider(t, newServerClient(t, s.Addr()), o)
	const last = "list:9999" // of all, in their order
	w := join(t, member, last)
	_, err := p.DeletePrefix(t.Context(), "s", "")
	require.NoError(t, err)
	items := []provider.Item{{Key: key("s", last), Entry: provider.Entry{Value: 1}, TTL: time.Hour}}
	for i := range 3500 {
		items = append(items, provider.Item{Key: key("s", fmt.Sprintf("list:%04d", i)), Entry: provider.Entry{Value: 1}, TTL: time.Hour})
	}
	require.NoError(t, p.SetMany(t.Context(), items))
	w.seen()
	n, err := p.DeletePrefix(t.Context(), "s", "list:")
	require.NoError(t, err)
	assert.Equal(t, len(items), n)
	there := w.seen()
	require.Len(t, there, 2, "messages")
	assert.False(t, there[1], "an entry was there when the last message came")
}
