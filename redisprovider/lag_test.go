package redisprovider_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// lagging are the targets of a hold that nobody gives up.
func lagging(prefixes ...string) provider.HoldTargets {
	return provider.HoldTargets{Scope: "s", Prefixes: prefixes, LeftToTTL: true}
}

// TestLagOfOneTargetIsOneHold checks what the server keeps of many invalidations of
// one key and of one prefix in a scope with ReplicaLag: one hold for each.
func TestLagOfOneTargetIsOneHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.proc(func(o *procOptions) { o.scope.ReplicaLag = time.Hour })
	for range 50 {
		a.invalidate("k")
		a.invalidatePrefix("list:")
		a.invalidatePrefix(strings.Repeat("long", 100))
	}
	keyHolds, prefixHolds := a.store.HoldsOf(key(holeScope, "k"))
	assert.Equal(t, int64(1), w.Do("ZCARD", keyHolds), "holds of the key")
	assert.Equal(t, int64(1), w.Do("ZCARD", a.store.HoldsToTheEndOf(key(holeScope, "k"))), "holds of the prefix")
	assert.Equal(t, int64(2), w.Do("ZCARD", prefixHolds), "the long prefix, and what old processes see")
	for _, name := range []string{"k", "list:1", strings.Repeat("long", 100)} {
		wantState(t, a.store, key(holeScope, name), provider.LeaseHeld)
	}
	wantState(t, a.store, key(holeScope, "list"), provider.LeaseGranted)
}

// TestLagOfManyPrefixes checks that a miss looks its prefixes up, however many are
// held: each covers its own names only, at the limit of what is looked up, too.
func TestLagOfManyPrefixes(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	var prefixes []string
	for i := range 2000 {
		prefixes = append(prefixes, fmt.Sprintf("list:%d:", i))
	}
	mustHold(t, p, lagging(prefixes...), "t", time.Hour)
	_, prefixHolds := p.HoldsOf(key("s", ""))
	assert.Equal(t, int64(1), client.ZCard(t.Context(), prefixHolds).Val(), "what is looked at one by one")
	for _, name := range []string{"list:0:", "list:1999:x", "list:42:" + strings.Repeat("x", 1000)} {
		wantState(t, p, key("s", name), provider.LeaseHeld)
	}
	for _, name := range []string{"", "list:", "list:2000:", "list:42", "xlist:42:"} {
		wantState(t, p, key("s", name), provider.LeaseGranted)
	}
	for _, n := range []int{127, 128, 129, 1000} {
		prefix := fmt.Sprint(n) + strings.Repeat("p", n-3-n/1000)
		mustHold(t, p, lagging(prefix), "t", time.Hour)
		wantState(t, p, key("s", prefix), provider.LeaseHeld)
		wantState(t, p, key("s", prefix+"x"), provider.LeaseHeld)
		wantState(t, p, key("s", prefix[:len(prefix)-1]), provider.LeaseGranted)
		wantState(t, p, key("s", prefix[:len(prefix)-1]+"q"), provider.LeaseGranted)
	}
	mustHold(t, p, lagging(""), "t", time.Hour)
	wantState(t, p, key("s", "any"), provider.LeaseHeld)
}

// TestManyHoldsWithTokens checks the bound of what a miss looks at one by one: past
// it the scope counts as held, and each hold is given up by its token all the same.
func TestManyHoldsWithTokens(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{})
	targets := func(i int) provider.HoldTargets {
		return provider.HoldTargets{Scope: "s", Prefixes: []string{fmt.Sprintf("list:%d:", i)}}
	}
	const n = 300
	for i := range n {
		mustHold(t, p, targets(i), fmt.Sprint("token ", i), time.Hour)
	}
	wantState(t, p, key("s", "other"), provider.LeaseHeld)
	for i := range n / 2 {
		mustUnhold(t, p, targets(i), fmt.Sprint("token ", i))
	}
	wantState(t, p, key("s", "other"), provider.LeaseGranted)
	for i := range n {
		want := provider.LeaseGranted
		if i >= n/2 {
			want = provider.LeaseHeld
		}
		wantState(t, p, key("s", fmt.Sprintf("list:%d:x", i)), want)
	}
}

// TestEndedHoldsAreDroppedInParts checks that a hold does not drop all that others
// have left at once.
func TestEndedHoldsAreDroppedInParts(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	holds := p.HoldsToTheEndOf(key("s", ""))
	ended := make([]redis.Z, 1000)
	for i := range ended {
		ended[i] = redis.Z{Score: float64(i + 1), Member: fmt.Sprint("ended ", i)}
	}
	require.NoError(t, client.ZAdd(t.Context(), holds, ended...).Err())
	before := int64(len(ended))
	for before > 1 {
		mustHold(t, p, lagging("x"), "t", time.Hour)
		left := client.ZCard(t.Context(), holds).Val()
		assert.Less(t, left, before)
		assert.LessOrEqual(t, before-left, int64(110))
		before = left
	}
}

// TestLatestEndOfALagCounts checks holds of processes with different lags.
func TestLatestEndOfALagCounts(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	for _, targets := range []provider.HoldTargets{lagging("k"), {Scope: "s", Keys: []string{"k"}, LeftToTTL: true}, lagging(strings.Repeat("k", 200))} {
		mustHold(t, p, targets, "long", time.Hour)
		mustHold(t, p, targets, "short", time.Minute)
	}
	k := key("s", "k")
	keyHolds, prefixHolds := p.HoldsOf(k)
	for _, holds := range []string{keyHolds, prefixHolds, p.HoldsToTheEndOf(k)} {
		found := client.ZRangeWithScores(t.Context(), holds, 0, -1).Val()
		assert.NotEmpty(t, found, holds)
		for _, hold := range found {
			assert.Greater(t, hold.Score, float64(time.Now().Add(50*time.Minute).UnixMilli()), "%s: %q", holds, hold.Member)
		}
		assert.Greater(t, client.PTTL(t.Context(), holds).Val(), 50*time.Minute, holds)
	}
}

// TestHoldsOfOldProcesses has processes of before holds that are looked up share a
// server with those of after. None may miss a hold of the other; the old ones may
// hold too much. Their scripts are in testdata.
func TestHoldsOfOldProcesses(t *testing.T) {
	t.Parallel()
	p, client, s := newOnServer(t, redisprovider.Options{})
	old := func(name string) string {
		text, err := os.ReadFile("testdata/before/" + name + ".lua")
		require.NoError(t, err)
		return string(text)
	}
	heldForOld := func(name string) bool {
		keyHolds, prefixHolds := p.HoldsOf(key("s", name))
		return s.Do("EVAL", old("held")+"\nif held(KEYS[1], KEYS[2], ARGV[1]) then return 1 end return 0", "2", keyHolds, prefixHolds, name) == int64(1)
	}
	_, prefixHolds := p.HoldsOf(key("s", ""))
	oldHold := func(token, prefix string, ttl time.Duration) {
		require.NoError(t, client.Eval(t.Context(), old("hold"), []string{prefixHolds}, ttl.Milliseconds(), fmt.Sprint(len(token), ":", token, prefix)).Err())
	}
	reset := func() { require.NoError(t, client.FlushAll(t.Context()).Err()) }

	for _, targets := range []provider.HoldTargets{
		lagging("list:"),
		lagging("list:", strings.Repeat("long", 100)),
		{Scope: "s", Keys: []string{"list:1"}, LeftToTTL: true},
		{Scope: "s", Keys: []string{"list:1"}},
		{Scope: "s", Prefixes: []string{"list:"}},
	} {
		mustHold(t, p, targets, token32, time.Hour)
		assert.True(t, heldForOld("list:1"), "an old process does not see %v", targets)
		oldHold(token32, "x", time.Millisecond) // and it does not end what is there
		assert.True(t, heldForOld("list:1"), "an old process does not see %v, after a hold of its own", targets)
		wantState(t, p, key("s", "list:1"), provider.LeaseHeld)
		reset()
	}
	mustHold(t, p, provider.HoldTargets{Scope: "s", Prefixes: []string{"list:"}}, "t", time.Hour)
	assert.False(t, heldForOld("other"), "a hold with a token is of its prefix, for old processes too")
	reset()

	oldHold(token32, "list:", time.Hour)
	wantState(t, p, key("s", "list:1"), provider.LeaseHeld)
	wantState(t, p, key("s", "other"), provider.LeaseGranted)
	mustHold(t, p, lagging("new:"), "t", time.Millisecond)
	wantState(t, p, key("s", "list:1"), provider.LeaseHeld)
	for i := range 300 { // the invalidations of an old process with ReplicaLag
		oldHold(fmt.Sprintf("%032d", i), "list:", time.Hour)
	}
	wantState(t, p, key("s", "list:1"), provider.LeaseHeld)
	wantState(t, p, key("s", "another"), provider.LeaseHeld) // there are too many to look
}

// TestHole31ManyLags is row 31: invalidations of prefixes in a scope with
// ReplicaLag. Whatever the number, reads of other keys are cached.
func TestHole31ManyLags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lag := func(o *procOptions) { o.scope.ReplicaLag = time.Hour }
	a, b := w.proc(lag), w.proc(lag)
	w.write("k", "v")
	for i := range 400 {
		a.invalidatePrefix(fmt.Sprintf("list:%d:", i))
	}
	b.wantRead(w, "a reader", "k", "v")
	w.wantRaw(b, "k", "v")
	name := "list:7:x"
	w.write(name, "v")
	b.wantRead(w, "a reader of what lags", name, "v")
	w.wantRaw(b, name, "")
	_, err := readthrough.Wrap(t.Context(), b.CachedScope, "list:400:x", w.load("k"))
	require.NoError(t, err)
	w.wantRaw(b, "list:400:x", "v")
}

// TestLagOnCluster holds prefixes in all buckets.
func TestLagOnCluster(t *testing.T) {
	t.Parallel()
	p := newProvider(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})), redisprovider.Options{})
	mustHold(t, p, lagging("name:1"), "t", time.Hour)
	for i, k := range numbered("s", 20) {
		want := provider.LeaseGranted
		if i == 1 || i >= 10 {
			want = provider.LeaseHeld
		}
		wantState(t, p, k, want)
	}
}

// TestLagWhenOutOfMemory checks that a server that is full places holds where there
// are some already, and none has ended.
func TestLagWhenOutOfMemory(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	mustHold(t, p, lagging("a"), "t", time.Hour)
	mustSet(t, p, key("s", "x"), "v")
	wantRemoved(t, p, "s", "", 1) // the index is complete
	s.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	s.Do("CONFIG", "SET", "maxmemory", "1")
	require.ErrorContains(t, p.Set(t.Context(), key("s", "other"), provider.Entry{Value: "v"}, time.Hour), "OOM")
	mustHold(t, p, lagging("a", "b"), "t", time.Hour)
	s.Do("CONFIG", "SET", "maxmemory", "0")
	wantState(t, p, key("s", "a1"), provider.LeaseHeld)
	wantState(t, p, key("s", "b1"), provider.LeaseHeld)
}
