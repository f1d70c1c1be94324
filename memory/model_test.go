package memory

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0: a random one")

// random returns a source of random numbers whose seed is printed if the test
// fails.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat with -seed=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// twin is the dumb model of a store that is never full.
type twin map[provider.Key]twinEntry

type twinEntry struct {
	value int
	ends  time.Time // zero: never
}

func (w twin) get(k provider.Key) (int, bool) {
	e, ok := w[k]
	if !ok || (!e.ends.IsZero() && !time.Now().Before(e.ends)) {
		return 0, false
	}
	return e.value, true
}

func (w twin) live(scope, prefix string) (keys []provider.Key) {
	for k := range w {
		if _, ok := w.get(k); ok && (scope == "" || k.Scope == scope) && strings.HasPrefix(k.Name, prefix) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b provider.Key) int {
		return strings.Compare(a.Scope+"\x00"+a.Name, b.Scope+"\x00"+b.Name)
	})
	return keys
}

// modelRun does random things to a store and to its twin. If the store may
// evict, it may have less than the twin.
type modelRun struct {
	t     *testing.T
	r     *rand.Rand
	s     *Store
	w     twin
	exact bool
	value int
}

func (m *modelRun) key() provider.Key {
	name := []byte(strings.Repeat("ab\xff", 1+m.r.IntN(2))[:1+m.r.IntN(3)])
	for range m.r.IntN(3) {
		name = append(name, "ab\x00\xff"[m.r.IntN(4)])
	}
	return key(string("stu"[m.r.IntN(3)]), string(name))
}

func (m *modelRun) prefix() string { return m.key().Name[:m.r.IntN(2)] }

func (m *modelRun) ttl() time.Duration {
	switch m.r.IntN(4) {
	case 0:
		return provider.NoExpiry
	case 1:
		return time.Duration(1 + m.r.IntN(1000))
	default:
		return time.Duration(1 + m.r.Int64N(1<<(10+m.r.IntN(30))))
	}
}

func (m *modelRun) item() provider.Item {
	m.value++
	return provider.Item{Key: m.key(), Entry: entry(m.value), TTL: m.ttl()}
}

func (m *modelRun) stored(i provider.Item) {
	e := twinEntry{value: i.Entry.Value.(int)}
	if i.TTL != provider.NoExpiry {
		e.ends = time.Now().Add(i.TTL)
	}
	m.w[i.Key] = e
}

func (m *modelRun) check(what string, k provider.Key, e provider.Entry, found bool) {
	m.t.Helper()
	want, ok := m.w.get(k)
	switch {
	case found && (!ok || e.Value != want):
		m.t.Fatalf("%s %q = %v; want %v, %v", what, k, e.Value, want, ok)
	case !found && ok && m.exact:
		m.t.Fatalf("%s %q: not found; want %v", what, k, want)
	case !found:
		delete(m.w, k) // evicted: from now on it must stay away
	}
}

func (m *modelRun) step() {
	ctx := m.t.Context()
	var err error
	switch m.r.IntN(12) {
	case 0, 1, 2:
		i := m.item()
		err = m.s.Set(ctx, i.Key, i.Entry, i.TTL)
		m.stored(i)
	case 3:
		items := make([]provider.Item, m.r.IntN(5))
		for i := range items {
			items[i] = m.item()
		}
		err = m.s.SetMany(ctx, items)
		for _, i := range items {
			m.stored(i)
		}
	case 4:
		k := m.key()
		value, is := m.s.GetValue(k)
		require.NotEqual(m.t, provider.Unsure, is, "GetValue %q: unsure of a plain value", k)
		m.check("GetValue", k, provider.Entry{Value: value}, is == provider.Present)
	case 5:
		k := m.key()
		e, found, getErr := m.s.Get(ctx, k)
		m.check("Get", k, e, found)
		err = getErr
	case 6:
		keys := make([]provider.Key, m.r.IntN(2*lookahead+2))
		for i := range keys {
			keys[i] = m.key()
		}
		results, getErr := m.s.GetMany(ctx, keys)
		for i, r := range results {
			m.check("GetMany", keys[i], r.Entry, r.Found)
		}
		err = getErr
		values := make([]provider.Value, len(keys))
		m.s.GetValues(keys, values)
		for i, v := range values {
			require.NotEqual(m.t, provider.Unsure, v.Is, "GetValues %q: unsure of a plain value", keys[i])
			m.check("GetValues", keys[i], provider.Entry{Value: v.Value}, v.Is == provider.Present)
		}
	case 7:
		k := m.key()
		found, hasErr := m.s.Has(ctx, k)
		_, ok := m.w.get(k)
		if found {
			require.True(m.t, ok, "Has %q", k)
		}
		if !found && ok {
			require.False(m.t, m.exact, "Has %q", k)
		}
		err = hasErr
	case 8:
		k := m.key()
		err = m.s.Delete(ctx, k)
		delete(m.w, k)
	case 9:
		err = m.deletePrefix()
	case 10:
		err = m.list()
	case 11:
		time.Sleep(time.Duration(m.r.Int64N(1 << (10 + m.r.IntN(28)))))
	}
	require.NoError(m.t, err)
}

func (m *modelRun) deletePrefix() error {
	scope, prefix := m.key().Scope, m.prefix()
	live := m.w.live(scope, prefix)
	n, err := m.s.DeletePrefix(m.t.Context(), scope, prefix)
	require.LessOrEqual(m.t, n, len(live), "DeletePrefix %q %q", scope, prefix)
	if m.exact {
		require.GreaterOrEqual(m.t, n, len(live), "DeletePrefix %q %q", scope, prefix)
	}
	maps.DeleteFunc(m.w, func(k provider.Key, _ twinEntry) bool {
		return k.Scope == scope && strings.HasPrefix(k.Name, prefix)
	})
	return err
}

func (m *modelRun) list() error {
	options := provider.ListOptions{Prefix: m.prefix(), Limit: 1 << 20}
	if m.r.IntN(2) == 0 {
		options.Scope = m.key().Scope
	}
	page, err := m.s.List(m.t.Context(), options)
	var keys []provider.Key
	for _, info := range page.Entries {
		keys = append(keys, info.Key)
		_, ok := m.w.get(info.Key)
		require.True(m.t, ok, "List %+v has %q", options, info.Key)
		require.WithinDuration(m.t, m.w[info.Key].ends, info.ExpiresAt, 0, "List: %q ends", info.Key)
	}
	if live := m.w.live(options.Scope, options.Prefix); m.exact {
		require.Equal(m.t, live, keys, "List %+v", options)
	}
	return err
}

func TestModel(t *testing.T) {
	weigh := func(k provider.Key, e provider.Entry) int64 { return int64(len(k.Name) + e.Value.(int)%5) }
	for name, options := range map[string]Options{
		"roomy":  {},
		"full":   {MaxEntries: 20},
		"one":    {MaxEntries: 1},
		"weight": {MaxWeight: 90, Weigher: weigh},
		"both":   {MaxWeight: 90, MaxEntries: 15, Weigher: weigh},
	} {
		t.Run(name, func(t *testing.T) {
			r := random(t)
			synctest.Test(t, func(t *testing.T) {
				m := &modelRun{t: t, r: r, s: newStore(t, options), w: twin{}, exact: name == "roomy"}
				for i := range 20_000 {
					m.step()
					if i%50 == 0 {
						require.NoError(t, validate(m.s), "after %d steps", i+1)
					}
				}
			})
		})
	}
}

// TestWheelModel runs the wheel against a look at every entry.
func TestWheelModel(t *testing.T) {
	r := random(t)
	var w wheel
	now := int64(0)
	stored := map[*node]bool{}
	for range 30_000 {
		switch r.IntN(4) {
		case 0, 1:
			n := &node{expires: now + 1 + r.Int64N(1<<(1+r.IntN(61)))}
			if n.expires < 0 {
				continue
			}
			if wake := w.add(n); wake > now {
				require.GreaterOrEqual(t, wake, w.next(), "what add says, at least next")
			}
			stored[n] = true
		case 2:
			for n := range stored {
				w.remove(n)
				delete(stored, n)
				break
			}
		case 3:
			now += r.Int64N(1 << (1 + r.IntN(40)))
			for n := w.advance(now); n != nil; n = w.advance(now) {
				require.True(t, stored[n], "an entry that is not in the wheel")
				w.remove(n)
				if n.expiredAt(now) {
					delete(stored, n)
				} else {
					w.add(n)
				}
			}
			for n := range stored {
				require.GreaterOrEqual(t, tickOf(n.expires), tickOf(now), "an entry that ended at %d is still there at %d", n.expires, now)
			}
		}
		require.Equal(t, int64(len(stored)), w.count, "count")
		if next := w.next(); len(stored) > 0 {
			require.NotEqual(t, never, next, "nothing to do with entries in the wheel")
		}
	}
}
