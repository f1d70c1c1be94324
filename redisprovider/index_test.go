package redisprovider_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
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

var seedFlag = flag.Uint64("seed", 0, "seed of random tests; 0: a new one each time")

// newRand returns a source of random numbers whose seed is printed if the test
// fails.
func newRand(tb testing.TB) *rand.Rand {
	tb.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	tb.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// members returns what an index lists.
func members(s *redistest.Server, index string) []string {
	list, _ := s.Do("ZRANGE", index, "0", "-1").([]any)
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = fmt.Sprint(m)
	}
	return texts
}

func isComplete(s *redistest.Server, index string) bool {
	return slices.Contains(members(s, index), "c")
}

// TestExactCount has everything under a prefix that can be there: entries,
// absences, leases, and what has expired; with the index and without.
func TestExactCount(t *testing.T) {
	t.Parallel()
	for _, fence := range []bool{false, true} {
		for _, indexed := range []bool{true, false} {
			s := redistest.StartReal(t, redistest.Options{})
			p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{FenceByServer: fence})
			checkCount(t, fmt.Sprintf("fence %v, indexed %v", fence, indexed), p, func(k provider.Key) {
				if !indexed {
					s.Do("DEL", p.IndexOf(k))
				}
			})
		}
	}
}

func TestExactCountOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	client := newClusterClient(t, c)
	p := newProvider(t, client, redisprovider.Options{})
	checkCount(t, "indexed", p, func(provider.Key) {})
	q := newProvider(t, client, redisprovider.Options{KeyPrefix: "q:"})
	checkCount(t, "some indices lost", q, func(k provider.Key) {
		if len(k.Name)%2 == 0 {
			client.Del(t.Context(), q.IndexOf(k))
		}
	})
}

func checkCount(t *testing.T, name string, p *redisprovider.Provider, before func(k provider.Key)) {
	t.Helper()
	keys := numbered("s", 2500)
	mustSetMany(t, p, keys, "v")
	for i := range 10 {
		mustAcquire(t, p, key("s", fmt.Sprintf("name:leased %d", i)))
		require.NoError(t, p.Set(t.Context(), key("s", fmt.Sprintf("name:absent %d", i)), provider.Entry{Absent: true}, time.Hour))
		require.NoError(t, p.Set(t.Context(), key("s", fmt.Sprintf("name:expired %d", i)), provider.Entry{Value: i}, time.Millisecond))
	}
	require.NoError(t, p.Delete(t.Context(), keys[:100]...))
	mustSet(t, p, key("s", "namf"), "other")
	mustSet(t, p, key("t", "name:1"), "other scope")
	poll(t, func() bool { _, found, _ := p.Get(t.Context(), key("s", "name:expired 9")); return !found })
	for _, k := range keys[:40] {
		before(k)
	}
	n, err := p.DeletePrefix(t.Context(), "s", "name:")
	assert.NoError(t, err, name)
	assert.Equal(t, 2410, n, "%s: DeletePrefix", name)
	for _, k := range append(keys[100:], key("s", "name:absent 3")) {
		wantMiss(t, p, k)
	}
	wantState(t, p, key("s", "name:leased 3"), provider.LeaseGranted)
	wantValue(t, p, key("s", "namf"), "other")
	wantValue(t, p, key("t", "name:1"), "other scope")
	wantRemoved(t, p, "s", "", 1)
}

// TestPrefixEndsLeases checks that a load of before a prefix delete cannot fill
// after it.
func TestPrefixEndsLeases(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	for _, indexed := range []bool{true, false} {
		lease := mustAcquire(t, p, key("s", "a1"))
		if !indexed {
			s.Do("DEL", p.IndexOf(lease.Key))
		}
		wantRemoved(t, p, "s", "a", 0)
		assert.False(t, fill(t, p, lease, "old"), "indexed %v: a load of before the delete was stored", indexed)
		wantMiss(t, p, lease.Key)
	}
}

// TestIndexIsUsed checks that a prefix delete scans once, and not again until the
// index is lost.
func TestIndexIsUsed(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t)
	index := p.IndexOf(key("s", ""))
	for _, lose := range []func(){
		func() {}, // a new scope
		func() { s.Do("DEL", index) },
		func() { s.Do("ZREM", index, "c") },
		func() { s.Do("SET", index, "something else") },
	} {
		lose()
		mustSetMany(t, p, numbered("s", 30), "v")
		fill(t, p, mustAcquire(t, p, key("s", "filled")), "v")
		proxy.ResetCounts()
		wantRemoved(t, p, "s", "name:1", 11)
		assert.NotZero(t, proxy.Count("SCAN"), "an index that is not complete was trusted")
		proxy.ResetCounts()
		wantRemoved(t, p, "s", "name:2", 11)
		wantRemoved(t, p, "s", "", 9)
		wantRemoved(t, p, "s", "", 0)
		assert.Zero(t, proxy.Count("SCAN"), "scans although the index is complete")
	}
}

// TestEmptyScopeStaysIndexed checks that a scope without entries is not scanned
// for again and again.
func TestEmptyScopeStaysIndexed(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t)
	wantRemoved(t, p, "s", "", 0)
	proxy.ResetCounts()
	wantRemoved(t, p, "s", "x", 0)
	assert.Zero(t, proxy.Count("SCAN"), "scans")
	left, _ := s.Do("PTTL", p.IndexOf(key("s", ""))).(int64)
	assert.GreaterOrEqual(t, left, int64(24*3_600_000), "the ms until the index ends, a day or two: nobody may use the scope any more")
}

// TestIndexLifetime checks that an index outlives what it lists, and that one of
// a scope that is not used any more ends.
func TestIndexLifetime(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	const day = 24 * time.Hour
	for i, c := range []struct {
		ttl         time.Duration
		least, most time.Duration // -1: it does not end
	}{
		{time.Minute, day, 3 * day},
		{time.Second, day, 3 * day},
		{10 * day, 11 * day, 13 * day},
		{time.Minute, 11 * day, 13 * day},
		{provider.NoExpiry, -1, -1},
		{time.Minute, -1, -1},
	} {
		require.NoError(t, p.Set(t.Context(), key("s", fmt.Sprint(i)), provider.Entry{}, c.ttl))
		left, _ := s.Do("PTTL", p.IndexOf(key("s", ""))).(int64)
		if c.least < 0 {
			assert.Equal(t, int64(-1), left, "the ms until the index ends after a TTL of %v", c.ttl)
		}
		if c.least >= 0 {
			assert.GreaterOrEqual(t, left, c.least.Milliseconds(), "the ms until the index ends after a TTL of %v", c.ttl)
			assert.LessOrEqual(t, left, c.most.Milliseconds(), "the ms until the index ends after a TTL of %v", c.ttl)
		}
	}
	require.NoError(t, p.Set(t.Context(), key("n", "k"), provider.Entry{}, provider.NoExpiry))
	assert.Equal(t, int64(-1), s.Do("PTTL", p.IndexOf(key("n", ""))), "the ms until the index of what does not end ends")
}

// TestDeadMembersAreTrimmed writes many names that end soon after: the index does
// not grow with everything that was ever stored.
func TestDeadMembersAreTrimmed(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	if !s.Real() {
		t.Skip("slow on the imitation")
	}
	index := p.IndexOf(key("s", ""))
	most := int64(0)
	const living = 100
	for round := range 100 {
		keys := make([]provider.Key, living)
		for i := range keys {
			keys[i] = key("s", fmt.Sprint("name:", round*living+i))
		}
		grants, err := p.Acquire(t.Context(), keys, time.Minute)
		require.NoError(t, err)
		fills := make([]provider.Fill, len(grants))
		for i, g := range grants {
			fills[i] = provider.Fill{Lease: g.Lease, Entry: provider.Entry{Value: i}, TTL: time.Hour}
		}
		_, err = p.Fill(t.Context(), fills)
		require.NoError(t, err)
		require.NoError(t, p.Delete(t.Context(), keys...)) // as if they had expired
		n, _ := s.Do("ZCARD", index).(int64)
		most = max(most, n)
	}
	// Each name is written twice and four members looked at meanwhile: dead ones
	// make up less than half.
	assert.LessOrEqual(t, most, int64(5*living), "the members of the index, with at most %d keys alive", living)
	assert.GreaterOrEqual(t, most, int64(living), "the members of the index: the test tests nothing")
}

// TestTrimmingSparesTheLiving checks that only members without a key are dropped.
func TestTrimmingSparesTheLiving(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t)
	keys := numbered("s", 20)
	mustSetMany(t, p, keys, "v")
	wantRemoved(t, p, "s", "none", 0)
	for range 30 {
		mustSetMany(t, p, keys, "v")
	}
	proxy.ResetCounts()
	wantRemoved(t, p, "s", "", 20)
	assert.Zero(t, proxy.Count("SCAN"), "scans")
}

// TestIndexLostDuringRebuild takes the index away between the steps of a rebuild,
// once and always.
func TestIndexLostDuringRebuild(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 1_000_000} {
		s := redistest.StartReal(t, redistest.Options{})
		client := newServerClient(t, s.Addr())
		p := newProvider(t, client, redisprovider.Options{ScanCount: 10})
		mustSetMany(t, p, numbered("s", 300), "v")
		index := p.IndexOf(key("s", ""))
		s.Do("DEL", index)
		lost := 0
		client.AddHook(&everyScan{do: func(n int) {
			if n%10 == 5 && lost < times {
				lost++
				s.Do("DEL", index)
				// Somebody writes into a new index, which is not complete.
				mustSetThrough(t, s, p, key("s", fmt.Sprint("name:new", n)))
			}
		}})
		n, err := p.DeletePrefix(t.Context(), "s", "name:")
		assert.NoError(t, err, "DeletePrefix")
		assert.GreaterOrEqual(t, n, 300, "DeletePrefix")
		assert.NotZero(t, lost, "how often the rebuild was lost")
		for _, k := range numbered("s", 300) {
			wantMiss(t, p, k)
		}
		if times == 1 {
			assert.True(t, isComplete(s, index), "the index is not complete")
		}
	}
}

// TestIndexLostDuringRebuildEnds: a rebuild whose index is lost does not make one by
// what it adds. That would have no TTL, and nothing would ever give it one.
func TestIndexLostDuringRebuildEnds(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	p := newProvider(t, client, redisprovider.Options{ScanCount: 10})
	mustSetMany(t, p, numbered("s", 100), "v")
	index := p.IndexOf(key("s", ""))
	s.Do("DEL", index)
	client.AddHook(&everyScan{do: func(n int) {
		if n == 3 {
			s.Do("DEL", index)
		}
	}})
	wantRemoved(t, p, "s", "name:", 100)
	left, _ := s.Do("PTTL", index).(int64)
	assert.Positive(t, left, "PTTL of the index")
}

// TestRebuildWhoseClientDoesNotReturn: a hook of the client panics, or ends the
// goroutine of the rebuild. Who waits for the rebuild gets an error, and the next one
// succeeds.
func TestRebuildWhoseClientDoesNotReturn(t *testing.T) {
	t.Parallel()
	for says, does := range map[string]func(){
		"the client panicked: of a hook":   func() { panic("of a hook") },
		"the client called runtime.Goexit": runtime.Goexit,
	} {
		s := redistest.Start(t, redistest.Options{})
		client := newServerClient(t, s.Addr())
		p := newProvider(t, client, redisprovider.Options{ScanCount: 10})
		mustSetMany(t, p, numbered("s", 100), "v")
		s.Do("DEL", p.IndexOf(key("s", "")))
		client.AddHook(&everyScan{do: func(n int) {
			if n == 3 {
				does()
			}
		}})
		_, err := p.DeletePrefix(t.Context(), "s", "name:")
		require.ErrorContains(t, err, says)
		wantRemoved(t, p, "s", "name:", 100)
		require.NoError(t, p.Close())
	}
}

// TestIndexLostAtTheEndOfARebuild takes the index away when everything has been
// added to it: only the marker is missing, and then only the marker would be
// there.
func TestIndexLostAtTheEndOfARebuild(t *testing.T) {
	t.Parallel()
	p, client, s := newOnServer(t, redisprovider.Options{})
	keys := numbered("s", 30)
	mustSetMany(t, p, keys, "v")
	index := p.IndexOf(keys[0])
	s.Do("DEL", index)
	seen := 0
	client.AddHook(processHook(func(command redis.Cmder) {
		// A rebuild's first and last script have nothing but its token.
		args := command.Args()
		if len(args) != 5 || command.Name() != "evalsha" || args[3] != index {
			return
		}
		if seen++; seen == 2 {
			s.Do("DEL", index)
			mustSetThrough(t, s, p, key("s", "other"))
		}
	}))
	wantRemoved(t, p, "s", "name:", 30)
	assert.GreaterOrEqual(t, seen, 4, "scripts: the rebuild did not begin again")
	for _, k := range keys {
		wantMiss(t, p, k)
	}
}

// processHook is a hook that is called before each command that comes by itself.
type processHook func(command redis.Cmder)

func (processHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h processHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		h(command)
		return next(ctx, command)
	}
}

func (processHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// mustSetThrough stores with another client than that of p.
func mustSetThrough(tb testing.TB, s *redistest.Server, p *redisprovider.Provider, k provider.Key) {
	tb.Helper()
	other := newProvider(tb, newServerClient(tb, s.Addr()), redisprovider.Options{})
	require.Equal(tb, p.KeyOf(k), other.KeyOf(k), "another key")
	mustSet(tb, other, k, "v")
}

// everyScan is a hook that does something before every SCAN.
type everyScan struct {
	do func(n int)

	mu sync.Mutex // guards following
	n  int
}

func (h *everyScan) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *everyScan) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if command.Name() == "scan" {
			h.mu.Lock()
			h.n++
			n := h.n
			h.mu.Unlock()
			h.do(n)
		}
		return next(ctx, command)
	}
}

func (h *everyScan) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestRebuildersShareAScope has several processes rebuild one index, while others
// write.
func TestRebuildersShareAScope(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	first := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	mustSetMany(t, first, numbered("s", 2000), "v")
	index := first.IndexOf(key("s", ""))
	s.Do("DEL", index)
	var wg sync.WaitGroup
	for i := range 6 {
		p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{ScanCount: 20 + i})
		wg.Go(func() {
			for j := range 100 {
				mustSet(t, p, key("s", fmt.Sprintf("new %d %d", i, j)), "v")
			}
		})
		wg.Go(func() {
			_, err := p.DeletePrefix(t.Context(), "s", fmt.Sprint("name:", i))
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	for _, m := range members(s, index) {
		assert.NotRegexp(t, "^t", m, "a rebuild's token is left")
	}
	assert.True(t, isComplete(s, index), "the index is not complete")
	left := len(valueKeys(s))
	wantRemoved(t, first, "s", "", left)
	assert.Empty(t, valueKeys(s), "keys that are left")
	assert.GreaterOrEqual(t, left, 600, "keys that were there")
}

// TestRebuildAgainstWriters rebuilds while names are filled, deleted, and listed
// again, and checks that a complete index lists all that there is.
func TestRebuildAgainstWriters(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{ScanCount: 10})
	index := p.IndexOf(key("s", ""))
	quit := make(chan struct{})
	var writing sync.WaitGroup
	for range 3 {
		seed := newRand(t).Uint64()
		writing.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for {
				select {
				case <-quit:
					return
				default:
				}
				k := key("s", fmt.Sprint(r.IntN(300)))
				if g, err := p.Acquire(t.Context(), []provider.Key{k}, time.Minute); err == nil && g[0].State == provider.LeaseGranted && r.IntN(3) > 0 {
					fill(t, p, g[0].Lease, "v")
				}
				if r.IntN(3) == 0 {
					_ = p.Delete(t.Context(), k)
				}
			}
		})
	}
	for range 15 {
		s.Do("DEL", index)
		_, err := p.DeletePrefix(t.Context(), "s", "none")
		assert.NoError(t, err)
	}
	close(quit)
	writing.Wait()
	require.True(t, isComplete(s, index), "the index is not complete")
	listed := members(s, index)
	for _, k := range valueKeys(s) {
		_, name, _ := strings.Cut(fmt.Sprint(k), ":v:")
		assert.Contains(t, listed, "n"+name, "%q is not listed", name)
	}
}

// TestScopeWithoutIndex has entries that something has written that knows the
// layout and no index.
func TestScopeWithoutIndex(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	for i := range 100 {
		k := p.KeyOf(key("s", fmt.Sprint("name:", i)))
		require.NoError(t, client.Set(t.Context(), k, absentFrame, time.Hour).Err())
	}
	wantRemoved(t, p, "s", "name:1", 11)
	wantRemoved(t, p, "s", "name:", 89)
}

// TestEviction keeps a server full, so that it evicts values, leases and indices
// as it likes. Whatever is evicted, a prefix delete leaves nothing behind, and a
// fill is stored only under its lease.
func TestEviction(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{Args: []string{
		"--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "3",
	}})
	p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	r := newRand(t)
	value := strings.Repeat("x", 500)
	lost := 0
	for round := range 60 {
		scope := fmt.Sprint("s", r.IntN(5))
		keys := make([]provider.Key, 100)
		for i := range keys {
			keys[i] = key(scope, fmt.Sprintf("%d:%d", i%3, r.IntN(100_000)))
		}
		grants, err := p.Acquire(t.Context(), keys, time.Minute)
		require.NoError(t, err)
		prefix := fmt.Sprint(r.IntN(3), ":")
		deleted := round%4 == 0
		if deleted {
			if s.Do("EXISTS", p.IndexOf(keys[0])) == int64(0) {
				lost++
			}
			_, err := p.DeletePrefix(t.Context(), scope, prefix)
			require.NoError(t, err)
			left, _ := s.Do("KEYS", p.KeyOf(key(scope, prefix))+"*").([]any)
			assert.Empty(t, left, "keys are left under the prefix")
		}
		for i, g := range grants {
			if g.State == provider.LeaseGranted && fill(t, p, g.Lease, value) && deleted {
				assert.False(t, strings.HasPrefix(keys[i].Name, prefix), "%q was stored after it was deleted", keys[i])
			}
		}
	}
	info, _ := s.Do("INFO", "stats").(string)
	assert.Contains(t, info, "evicted_keys:", "nothing was evicted: the test tests nothing")
	assert.NotContains(t, info, "evicted_keys:0\r", "nothing was evicted: the test tests nothing")
	t.Logf("the index was gone %d times", lost)
}

// TestHostileNames checks that no byte of a scope, name, prefix or token means
// anything to a script.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	proofs.Unraced(t, "-run ^TestHostileNames$ ./redisprovider")
	p, _, _ := newOnServer(t, redisprovider.Options{})
	checkHostile(t, p)
	if redistest.Installed() {
		checkHostile(t, newProvider(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})), redisprovider.Options{}))
	}
}

func checkHostile(t *testing.T, p *redisprovider.Provider) {
	t.Helper()
	texts := []string{
		"", "\x00", "\xff", "\xff\xff", `"quoted" 'too'`, "a*?[x]\\", "{tag}", "}", "}:v:x", "{", "#0}", "%", ":", "c", "t", "n",
		"+inf", "-", "(a", "[a", "\r\n", strings.Repeat("k", 8<<10), strings.Repeat("\xff", 8<<10), "' .. redis.call('FLUSHALL') .. '", "%d%s",
	}
	for _, scope := range texts {
		if len(scope) > 100 {
			continue
		}
		for _, name := range texts {
			lease := mustAcquire(t, p, key(scope, name))
			wantState(t, p, lease.Key, provider.LeaseBusy)
			assert.True(t, fill(t, p, lease, fmt.Sprintf("%x", name)), "%.50q in %q was not stored", name, scope)
			wantValue(t, p, lease.Key, fmt.Sprintf("%x", name))
		}
	}
	for _, scope := range texts {
		if len(scope) > 100 {
			continue
		}
		left := slices.Clone(texts)
		for _, prefix := range texts[1:] {
			want := 0
			for _, name := range left {
				if strings.HasPrefix(name, prefix) {
					want++
				}
			}
			left = slices.DeleteFunc(left, func(name string) bool { return strings.HasPrefix(name, prefix) })
			wantRemoved(t, p, scope, prefix, want)
		}
		wantValue(t, p, key(scope, ""), "")
		targets := provider.HoldTargets{Scope: scope, Keys: []string{""}, Prefixes: texts[1:]}
		for _, token := range []string{"", "\x00", "3:x", strings.Repeat("t", 300)} {
			assert.NoError(t, p.Hold(t.Context(), targets, token, time.Minute))
		}
		for _, name := range texts {
			wantState(t, p, key(scope, name), provider.LeaseHeld)
		}
		wantState(t, p, key(scope, "other"), provider.LeaseGranted)
		for _, token := range []string{"", "\x00", "3:x", strings.Repeat("t", 300)} {
			wantState(t, p, key(scope, texts[3]), provider.LeaseHeld)
			assert.NoError(t, p.Unhold(t.Context(), targets, token))
		}
		for _, name := range texts {
			wantState(t, p, key(scope, name), provider.LeaseGranted)
		}
	}
}

// FuzzScripts takes hostile scopes, names, values and prefixes through all
// scripts.
func FuzzScripts(f *testing.F) {
	f.Add("s", "name", "value", "na", "token")
	f.Add("}:v:", "\x00\xff", "\xc1r\x02\x03\x00", "", "9:")
	f.Add("#1", "c", "", "\xff", "\n")
	f.Add("*", "[a-z]*?\\", `"'`, "[a-", "*")
	f.Add("s", strings.Repeat("k\x00", 1<<19), strings.Repeat("\xc1\xff", 1<<19), strings.Repeat("k\x00", 1<<18), "t")
	s := redistest.Start(f, redistest.Options{})
	client := newServerClient(f, s.Addr())
	codec := bytesCodec{}
	f.Fuzz(func(t *testing.T, scope, name, value, prefix, token string) {
		p := newProvider(t, client, redisprovider.Options{Codec: codec, FenceByServer: s.Real() && len(value)%2 == 0})
		k := key(scope, name)
		require.NoError(t, p.Delete(t.Context(), k))
		require.True(t, fill(t, p, mustAcquire(t, p, k), value), "not filled")
		g := acquire(t, p, k)
		encoded, ok := g.Entry.Value.(provider.Encoded)
		require.Equal(t, provider.LeaseFound, g.State)
		require.True(t, ok)
		require.Equal(t, value, string(encoded.Data))
		want := 0
		if strings.HasPrefix(name, prefix) {
			want = 1
		}
		wantRemoved(t, p, scope, prefix, want)
		for _, targets := range []provider.HoldTargets{{Scope: scope, Keys: []string{name}}, {Scope: scope, Prefixes: []string{prefix}}} {
			held := len(targets.Keys) > 0 || want == 1
			mustHold(t, p, targets, token, time.Minute)
			assert.Equal(t, held, acquire(t, p, k).State == provider.LeaseHeld, "%q: whether it is held", targets)
			mustUnhold(t, p, targets, token)
			assert.NotEqual(t, provider.LeaseHeld, acquire(t, p, k).State, "%q: still held", targets)
		}
		wantState(t, p, k, provider.LeaseBusy)
		wantRemoved(t, p, scope, "", 0)
		wantState(t, p, k, provider.LeaseGranted)
	})
}

// bytesCodec keeps strings as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "bytes" }

func (bytesCodec) Marshal(v any) ([]byte, error) { return []byte(fmt.Sprint(v)), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	text, ok := v.(*string)
	if !ok {
		return fmt.Errorf("a %T", v)
	}
	*text = string(data)
	return nil
}

// TestCompleteIndexIsNotRebuilt: a rebuild looks first. Another process may have completed the index since
// this one has found it incomplete.
func TestCompleteIndexIsNotRebuilt(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	p := newProvider(t, client, redisprovider.Options{})
	mustSetMany(t, p, numbered("s", 10), "v")
	wantRemoved(t, p, "s", "name:", 10) // the index is complete
	scans := 0
	client.AddHook(&everyScan{do: func(int) { scans++ }})
	require.NoError(t, p.Rebuild(t.Context(), "s"))
	assert.Zero(t, scans, "scans")
	assert.True(t, isComplete(s, p.IndexOf(key("s", ""))), "the index is complete")
}
