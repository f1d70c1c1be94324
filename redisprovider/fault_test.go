package redisprovider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// repeats makes a client send a command that has failed again, as go-redis does by default. It does not give a
// command up by itself: on a busy machine, a short timeout would end commands that nothing is wrong with. See lost.
func repeats(o *redis.Options) {
	o.MaxRetries = 3
	o.MinRetryBackoff, o.MaxRetryBackoff = time.Millisecond, 2*time.Millisecond
}

// lost makes a call that gets no answer: when it has come so far, the connections break.
func lost(t *testing.T, call func() error, soFar func() bool, proxies ...*redistest.Proxy) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- call() }()
	poll(t, soFar)
	for _, proxy := range proxies {
		proxy.CutAll()
	}
	return <-result
}

// captured reports whether taps have captured n requests.
func captured(n int, taps ...*redistest.Tap) func() bool {
	return func() bool {
		all := 0
		for _, tap := range taps {
			all += len(tap.Captured())
		}
		return all >= n
	}
}

// resigned makes a client give up at once when it cannot connect.
func resigned(o *redis.Options) { o.MaxRetries, o.DialerRetries = -1, 1 }

// TestSetIsSentOnce guards against a fill that the client library sends again:
// of two copies, the one that is held up may arrive after an invalidation, and
// bring the old value back.
func TestSetIsSentOnce(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t, repeats)
	checkSentOnce(t, p, []*redistest.Proxy{proxy}, func() int { return proxy.Count("EVALSHA") })
}

func TestSetIsSentOnceOnCluster(t *testing.T) {
	t.Parallel()
	c := startProxiedCluster(t, redistest.Options{})
	p := newProvider(t, c.client(t, func(o *redis.ClusterOptions) {
		o.MaxRedirects, o.MaxRetries = 3, 3
		o.MinRetryBackoff, o.MaxRetryBackoff = time.Millisecond, 2*time.Millisecond
	}), redisprovider.Options{})
	mustSetMany(t, p, numbered("s", 30), "warm the connections up")
	c.resetCounts()
	checkSentOnce(t, p, c.proxies, func() int { return c.count("EVALSHA") })
}

func checkSentOnce(t *testing.T, p *redisprovider.Provider, proxies []*redistest.Proxy, sets func() int) {
	t.Helper()
	k := key("s", "name:1")
	item := provider.Item{Key: k, Entry: provider.Entry{Value: "old"}, TTL: time.Hour}
	for name, set := range map[string]func() error{
		"Set":     func() error { return p.Set(t.Context(), k, item.Entry, item.TTL) },
		"SetMany": func() error { return p.SetMany(t.Context(), []provider.Item{item, item}) },
	} {
		_, _, err := p.Get(t.Context(), k) // for a connection
		require.NoError(t, err)
		var taps []*redistest.Tap
		for _, proxy := range proxies {
			taps = append(taps, proxy.Withhold(func(c redistest.Command) bool { return c.Name() == "EVALSHA" }))
		}
		before := sets()
		want := map[string]int{"Set": 1, "SetMany": 2}[name]
		assert.Error(t, lost(t, set, captured(want, taps...), proxies...), "%s: no error although no answer came", name)
		assert.Equal(t, want, sets()-before, "%s: how often the script was sent", name)
		for _, tap := range taps {
			tap.Stop()
		}
	}
}

// TestReadsAndDeletesAreRepeated checks that what can be repeated is.
func TestReadsAndDeletesAreRepeated(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t, repeats)
	k := key("s", "k")
	mustSet(t, p, k, "v")
	for _, command := range []string{"GET", "MGET", "UNLINK"} {
		var once sync.Once
		tap := proxy.Withhold(func(c redistest.Command) (first bool) {
			if c.Name() == command {
				once.Do(func() { first = true })
			}
			return first
		})
		calls := map[string]func() error{
			"GET":    func() error { _, _, err := p.Get(t.Context(), k); return err },
			"MGET":   func() error { _, err := p.GetMany(t.Context(), []provider.Key{k, key("s", "other")}); return err },
			"UNLINK": func() error { return p.Delete(t.Context(), k) },
		}
		err := lost(t, calls[command], captured(1, tap), proxy)
		assert.NoError(t, err, "%s with one copy lost", command)
		assert.Len(t, tap.Captured(), 1, "%s with one copy lost", command)
		tap.Stop()
	}
	assert.Equal(t, int64(0), s.Do("EXISTS", "rt:{s}:v:k"), "the entry is not deleted")
}

// TestLateDeleteHarmsNothing delivers copies of removals late: all they can do
// is remove.
func TestLateDeleteHarmsNothing(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t)
	tap := proxy.Record(func(c redistest.Command) bool { return c.Name() == "UNLINK" || c.Name() == "SCAN" })
	a, b := key("s", "a"), key("s", "b")
	mustSet(t, p, a, "1")
	require.NoError(t, p.Delete(t.Context(), a))
	mustSet(t, p, b, "1")
	wantRemoved(t, p, "s", "b", 1)
	mustSet(t, p, a, "2")
	mustSet(t, p, key("s", "c"), "2")
	tap.Stop()
	tap.Replay(t)
	wantMiss(t, p, a)
	wantMiss(t, p, b)
	wantValue(t, p, key("s", "c"), "2")
}

// TestUnconfirmedDeletes checks that no removal without an answer is taken for
// done.
func TestUnconfirmedDeletes(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(p *redistest.Proxy){
		"request lost": func(p *redistest.Proxy) { p.Drop(redistest.ToServer, true) },
		"answer lost":  func(p *redistest.Proxy) { p.Drop(redistest.ToClient, true) },
		"refused":      func(p *redistest.Proxy) { p.Refuse(true); p.CutAll() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, proxy, _ := newOnProxy(t, repeats, func(o *redis.Options) { o.ReadTimeout = 250 * time.Millisecond })
			keys := numbered("s", 10)
			poll(t, func() bool { _, _, err := p.Get(t.Context(), keys[0]); return err == nil }) // the first look
			p.LookNever()
			fault(proxy)
			assert.Regexp(t, `^redisprovider: delete "rt:\{s\}:v:name:0" and 9 more: `, p.Delete(t.Context(), keys...), "Delete")
			assert.Regexp(t, `^redisprovider: delete "rt:\{s\}:v:name:0": `, p.Delete(t.Context(), keys[0]), "Delete")
			n, err := p.DeletePrefix(t.Context(), "s", "")
			assert.Zero(t, n, "DeletePrefix")
			assert.Error(t, err, "DeletePrefix")
		})
	}
}

// TestDeletePrefixCountsOrFails loses the answer of the script that removes. Were
// it repeated, the count would lack what the first copy removed.
func TestDeletePrefixCountsOrFails(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t, repeats)
	mustSetMany(t, p, numbered("s", 20), "v")
	wantRemoved(t, p, "s", "none", 0) // completes the index
	var once sync.Once
	tap := proxy.Record(func(c redistest.Command) bool {
		if c.Name() != "EVALSHA" || c.Args[3] != "rt:{s}:i" { // and not what is told to near caches
			return false
		}
		once.Do(func() { proxy.Drop(redistest.ToClient, true) })
		return true
	})
	n := 0
	err := lost(t, func() (err error) {
		n, err = p.DeletePrefix(t.Context(), "s", "")
		return err
	}, func() bool { return len(valueKeys(s)) == 0 }, proxy)
	assert.Error(t, err, "want an error")
	assert.Zero(t, n, "DeletePrefix; want an error")
	assert.Len(t, tap.Captured(), 1, "how often the script was sent")
}

// TestRebuildAcrossARestart replaces the server between two steps of a scan, when
// no command is under way that could fail, by one that has the index of a rebuild
// under way. A cursor of the old server means nothing to the new one, which
// accepts it.
func TestRebuildAcrossARestart(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	p := newProvider(t, client, redisprovider.Options{ScanCount: 10})
	mustSetMany(t, p, numbered("s", 2000), "v")
	s.Do("DEL", p.IndexOf(key("s", "")))
	client.AddHook(&beforeScan{at: 50, do: func() { s.Snapshot(); s.Restart() }})
	n, err := p.DeletePrefix(t.Context(), "s", "")
	assert.Error(t, err, "DeletePrefix = %d, no error; %d keys are left", n, len(valueKeys(s)))
	poll(t, func() bool {
		_, err := p.DeletePrefix(t.Context(), "s", "")
		return err == nil
	})
	assert.Empty(t, valueKeys(s), "keys are left")
}

// valueKeys returns the keys of values and leases on a server of a test.
func valueKeys(s *redistest.Server) []any {
	keys, _ := s.Do("KEYS", "*:v:*").([]any)
	return keys
}

// beforeScan is a hook that does something before the SCAN with a number, of those
// that come one at a time.
type beforeScan struct {
	at, seen int
	do       func()
}

func (h *beforeScan) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *beforeScan) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if command.Name() == "scan" {
			if h.seen++; h.seen == h.at {
				h.do()
			}
		}
		return next(ctx, command)
	}
}

func (h *beforeScan) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestServerRestart checks that the store works again when the server does.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr(), resigned), redisprovider.Options{})
	k := key("s", "k")
	mustSet(t, p, k, "v")
	s.Stop()
	_, found, err := p.Get(t.Context(), k)
	assert.False(t, found, "Get from a server that is down")
	assert.Error(t, err, "Get from a server that is down")
	assert.NotErrorIs(t, err, provider.ErrUndecodable, "Get from a server that is down")
	assert.Error(t, p.Set(t.Context(), k, provider.Entry{Value: "v"}, time.Hour), "Set on a server that is down: no error")
	results, err := p.GetMany(t.Context(), []provider.Key{k, k})
	assert.Error(t, err, "GetMany from a server that is down")
	if assert.Len(t, results, 2, "GetMany from a server that is down") {
		assert.Error(t, results[0].Err, "GetMany from a server that is down")
		assert.Error(t, results[1].Err, "GetMany from a server that is down")
	}
	err = p.SetMany(t.Context(), []provider.Item{{Key: k, TTL: time.Hour}, {Key: key("s", "k2"), TTL: time.Hour}})
	if assert.Error(t, err, "SetMany on a server that is down; want one error for both") {
		assert.Zero(t, strings.Count(err.Error(), "\n"), "SetMany on a server that is down; want one error for both")
		assert.ErrorContains(t, err, "and 1 more", "SetMany on a server that is down; want one error for both")
	}
	s.Restart()
	wantMiss(t, p, k)
	mustSet(t, p, k, "again")
	wantValue(t, p, k, "again")
}

// TestDeadlines checks that a call ends at its deadline, with an error, if the
// client looks at it, and soon after the client's own timeout if not.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	for name, edit := range map[string]func(o *redis.Options){
		"of the context": func(o *redis.Options) { o.ContextTimeoutEnabled, o.ReadTimeout = true, time.Hour },
		"of the client":  func(o *redis.Options) { o.ReadTimeout, o.MaxRetries = 100*time.Millisecond, -1 },
	} {
		p := newProvider(t, newServerClient(t, s.Addr(), edit), redisprovider.Options{})
		assert.Equal(t, name == "of the context", p.Punctual(), "whether it is punctual with deadlines %s", name)
		mustSet(t, newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{}), key("s", "k"), "v") // in its own time
		hold := provider.HoldTargets{Scope: "s", Keys: []string{"k"}, Prefixes: []string{"p"}}
		lease := provider.Lease{Key: key("s", "k"), Token: "token"}
		s.Pause()
		calls := map[string]func(ctx context.Context) error{
			"Get":          func(ctx context.Context) error { _, _, err := p.Get(ctx, key("s", "k")); return err },
			"Set":          func(ctx context.Context) error { return p.Set(ctx, key("s", "k"), provider.Entry{}, time.Hour) },
			"GetMany":      func(ctx context.Context) error { _, err := p.GetMany(ctx, numbered("s", 3)); return err },
			"SetMany":      func(ctx context.Context) error { return p.SetMany(ctx, []provider.Item{{TTL: time.Hour}}) },
			"Delete":       func(ctx context.Context) error { return p.Delete(ctx, numbered("s", 3)...) },
			"DeletePrefix": func(ctx context.Context) error { _, err := p.DeletePrefix(ctx, "s", ""); return err },
			"Acquire": func(ctx context.Context) error {
				_, err := p.Acquire(ctx, numbered("s", 3), time.Second)
				return err
			},
			"Refresh": func(ctx context.Context) error {
				_, err := p.Refresh(ctx, []provider.RefreshRequest{{Key: key("s", "k")}}, time.Second)
				return err
			},
			"Fill": func(ctx context.Context) error {
				filled, err := p.Fill(ctx, []provider.Fill{{Lease: lease, TTL: time.Hour}})
				return errors.Join(err, filled[0].Err)
			},
			"Release": func(ctx context.Context) error { return p.Release(ctx, []provider.Lease{lease}) },
			"Hold":    func(ctx context.Context) error { return p.Hold(ctx, hold, "token", time.Second) },
			"Unhold":  func(ctx context.Context) error { return p.Unhold(ctx, hold, "token") },
		}
		for call, f := range calls {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			began := time.Now()
			assert.Error(t, f(ctx), "%s, deadline %s: no error from a server that hangs", call, name)
			assert.LessOrEqual(t, time.Since(began), 20*time.Second, "%s, deadline %s: the time it took", call, name)
			cancel()
		}
		s.Resume()
	}
}

// TestCancelledContexts checks that a call whose context has ended sends nothing.
func TestCancelledContexts(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t)
	checkCancelled(t, p)
	assert.Empty(t, proxy.Counts(), "sent")
}

func TestCancelledContextsOnCluster(t *testing.T) {
	t.Parallel()
	c := startProxiedCluster(t, redistest.Options{})
	p := newProvider(t, c.client(t), redisprovider.Options{})
	mustSetMany(t, p, numbered("s", 30), "v") // the client finds out what the nodes are
	c.resetCounts()
	checkCancelled(t, p)
	for _, command := range []string{"GET", "EVALSHA", "UNLINK", "SCAN"} {
		assert.Zero(t, c.count(command), "how often %s was sent", command)
	}
}

// TestRebuildOutlivesItsCaller ends the context in the middle of a scan. Were the
// scan to end with it, a scan that takes longer than callers wait would never
// come to its end.
func TestRebuildOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	proxy := redistest.NewProxy(t, s.Addr())
	p := newProvider(t, newServerClient(t, proxy.Addr()), redisprovider.Options{ScanCount: 1})
	mustSetMany(t, p, numbered("s", 100), "v")
	index := p.IndexOf(key("s", ""))
	s.Do("DEL", index)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	scans := 0 // used by the one connection that scans
	proxy.Record(func(c redistest.Command) bool {
		if c.Name() == "SCAN" {
			if scans++; scans == 20 {
				cancel()
			}
		}
		return false
	})
	n, err := p.DeletePrefix(ctx, "s", "")
	assert.ErrorIs(t, err, context.Canceled, "want the context's error")
	assert.Zero(t, n, "DeletePrefix; want the context's error")
	poll(t, func() bool { return s.Do("ZSCORE", index, "c") != nil })
	before := proxy.Count("SCAN")
	wantRemoved(t, p, "s", "", 100)
	got := proxy.Count("SCAN")
	assert.Equal(t, before, got, "%d more scans", got-before)
}

func checkCancelled(t *testing.T, p *redisprovider.Provider) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, getErr := p.Get(ctx, key("s", "k"))
	results, manyErr := p.GetMany(ctx, numbered("s", 3))
	_, prefixErr := p.DeletePrefix(ctx, "s", "")
	for name, err := range map[string]error{
		"Get": getErr, "GetMany": manyErr, "GetMany result": results[2].Err, "DeletePrefix": prefixErr,
		"Set":     p.Set(ctx, key("s", "k"), provider.Entry{}, time.Hour),
		"SetMany": p.SetMany(ctx, []provider.Item{{TTL: time.Hour}}),
		"Delete":  p.Delete(ctx, key("s", "k")),
	} {
		assert.ErrorIs(t, err, context.Canceled, name)
		assert.Regexp(t, "^redisprovider: ", err, name)
	}
}

// TestPromotedReplica documents what an asynchronous failover does: the data is
// there, and so may be what was deleted last.
func TestPromotedReplica(t *testing.T) {
	t.Parallel()
	primary := redistest.StartReal(t, redistest.Options{})
	replica := redistest.StartReplica(t, primary, redistest.Options{})
	p := newProvider(t, newServerClient(t, primary.Addr()), redisprovider.Options{})
	mustSet(t, p, key("s", "k"), "v")
	q := newProvider(t, newServerClient(t, replica.Addr()), redisprovider.Options{})
	poll(t, func() bool { return replica.Do("EXISTS", p.KeyOf(key("s", "k"))) == int64(1) })
	_, _, err := q.Get(t.Context(), key("s", "k"))
	assert.ErrorIs(t, err, provider.ErrReadOnly, "a read of a replica, which may have what was deleted")
	assert.Error(t, q.Delete(t.Context(), key("s", "k")), "a replica confirmed a delete")
	n, err := q.DeletePrefix(t.Context(), "s", "")
	assert.Error(t, err, "a replica confirmed a prefix delete of %d", n)
	primary.Stop()
	replica.Promote()
	poll(t, func() bool { _, _, err := q.Get(t.Context(), key("s", "k")); return err == nil })
	wantValue(t, q, key("s", "k"), "v")
	wantRemoved(t, q, "s", "", 1)
}

// TestHookErrors checks that a client's hook that ends a call is not taken for
// the server's confirmation.
func TestHookErrors(t *testing.T) {
	t.Parallel()
	_, client, _ := newOnServer(t, redisprovider.Options{})
	checkHookErrors(t, client)
}

func TestHookErrorsOnCluster(t *testing.T) {
	t.Parallel()
	checkHookErrors(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})))
}

func checkHookErrors(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	p := newProvider(t, client, redisprovider.Options{MaxValueBytes: 100})
	keys := numbered("s", 3)
	mustSetMany(t, p, keys, "v")
	if nodes, ok := client.(*redis.ClusterClient); ok {
		// The hooks of a cluster client do not reach those of its nodes.
		err := nodes.ForEachMaster(t.Context(), func(_ context.Context, node *redis.Client) error {
			node.AddHook(refuseAll{})
			return nil
		})
		require.NoError(t, err)
	}
	client.AddHook(refuseAll{})
	assert.ErrorIs(t, p.Delete(t.Context(), keys...), errRefused, "Delete")
	items := []provider.Item{
		{Key: keys[0], TTL: time.Hour},
		{Key: keys[1], Entry: provider.Entry{Value: strings.Repeat("x", 200)}, TTL: time.Hour},
	}
	err := p.SetMany(t.Context(), items)
	assert.ErrorIs(t, err, errRefused, "SetMany")
	assert.NotErrorIs(t, err, provider.ErrTooLarge, "SetMany")
	n, err := p.DeletePrefix(t.Context(), "s", "")
	assert.Zero(t, n, "DeletePrefix")
	assert.ErrorIs(t, err, errRefused, "DeletePrefix")
	results, err := p.GetMany(t.Context(), keys)
	assert.ErrorIs(t, err, errRefused, "GetMany = %v", results)
}

var errRefused = errors.New("refused by the hook")

// refuseAll is a hook that lets nothing through.
type refuseAll struct{}

func (refuseAll) DialHook(next redis.DialHook) redis.DialHook { return next }

func (refuseAll) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { return errRefused }
}

func (refuseAll) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return errRefused }
}

// TestConcurrentUse runs everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{ScanCount: 20})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			scope := fmt.Sprint("s", g%4)
			keys := numbered(scope, 30)
			for range 10 {
				mustSetMany(t, p, keys, "v")
				if _, err := p.GetMany(t.Context(), keys); err != nil {
					t.Error(err)
				}
				if err := p.Delete(t.Context(), keys[:5]...); err != nil {
					t.Error(err)
				}
				if _, err := p.DeletePrefix(t.Context(), scope, "name:1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
