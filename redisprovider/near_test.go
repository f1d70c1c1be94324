package redisprovider_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
	"github.com/readthrough/readthrough/redisprovider"
)

// nearLease is short, so that tests which wait for a lease are quick, and long enough for a busy machine to
// send a heartbeat in time.
const nearLease = 400 * time.Millisecond

// nearProc is a process with a near cache.
type nearProc struct {
	t     *testing.T
	near  *near.Store
	cache *readthrough.Cache
	scope *readthrough.CachedScope
	loads atomic.Int64
}

// newNearProc starts a process. Its client is its own: processes share no connection.
func newNearProc(t *testing.T, client redis.UniversalClient, o redisprovider.Options, options near.Options) *nearProc {
	t.Helper()
	o.NearLease = nearLease
	far, err := redisprovider.New(client, o)
	require.NoError(t, err)
	p := &nearProc{t: t}
	p.near, err = near.New(far, options)
	require.NoError(t, err)
	p.cache, err = readthrough.New(p.near, readthrough.Options{
		ProviderTimeout: 5 * time.Second, InvalidateTimeout: 10 * time.Second,
		OnError: func(err *readthrough.OpError) { t.Log("told:", err) },
	})
	require.NoError(t, err)
	p.scope, err = p.cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.cache.Close() })
	return p
}

// wait waits until the process is a member, and the first invalidation does not wait for an epoch.
func (p *nearProc) wait() {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return p.near.NearStats().Membership.Valid }, proofs.Patience(), time.Millisecond)
	require.NoError(p.t, p.scope.Invalidate(p.t.Context(), "first"))
}

func (p *nearProc) read(key string, version int) (int, readthrough.Source) {
	p.t.Helper()
	r, err := readthrough.WrapResult(p.t.Context(), p.scope, key, func(context.Context) (*int, error) {
		p.loads.Add(1)
		return &version, nil
	})
	require.NoError(p.t, err)
	return *r.Value, r.Source
}

// warm reads key until it is in memory. A heartbeat may come late, so that takes as long as it takes.
func (p *nearProc) warm(key string, version int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		got, from := p.read(key, version)
		require.Equal(p.t, version, got)
		return from == readthrough.FromNear
	}, proofs.Patience(), time.Millisecond)
}

// deployments are where a near cache runs.
func deployments(t *testing.T) map[string]func() redis.UniversalClient {
	t.Helper()
	s := redistest.StartReal(t, redistest.Options{})
	c := redistest.StartCluster(t, redistest.Options{})
	return map[string]func() redis.UniversalClient{
		"RESP3": func() redis.UniversalClient { return newServerClient(t, s.Addr()) },
		"RESP2": func() redis.UniversalClient {
			return newServerClient(t, s.Addr(), func(o *redis.Options) { o.Protocol = 2 })
		},
		"punctual": func() redis.UniversalClient {
			return newServerClient(t, s.Addr(), func(o *redis.Options) { o.ContextTimeoutEnabled = true })
		},
		"cluster": func() redis.UniversalClient { return newClusterClient(t, c) },
	}
}

// TestNear: an invalidation of one process, by key, by prefix and by hold, reaches the memory of another.
func TestNear(t *testing.T) {
	t.Parallel()
	for name, client := range deployments(t) {
		for _, strict := range []bool{true, false} {
			for _, fence := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " strict ", strict, " fence ", fence), func(t *testing.T) {
					t.Parallel()
					o := redisprovider.Options{KeyPrefix: freshPrefix(), FenceByServer: fence}
					a, b := newNearProc(t, client(), o, near.Options{Strict: strict}), newNearProc(t, client(), o, near.Options{Strict: strict})
					a.wait()
					b.wait()
					for version, invalidate := range []func() error{
						func() error { return a.scope.Invalidate(t.Context(), "list:1") },
						func() error { _, err := a.scope.InvalidatePrefix(t.Context(), "list:"); return err },
						func() error {
							_, err := readthrough.Mutate(t.Context(), a.scope, readthrough.Mutation[int]{
								Hold:  readthrough.Targets{Keys: []string{"list:1"}},
								Write: func(context.Context) (int, error) { return 0, nil },
							})
							return err
						},
						func() error {
							_, err := readthrough.Mutate(t.Context(), a.scope, readthrough.Mutation[int]{
								Hold:  readthrough.Targets{Prefixes: []string{"li"}},
								Write: func(context.Context) (int, error) { return 0, nil },
							})
							return err
						},
					} {
						a.warm("list:1", version)
						b.warm("list:1", version)
						require.NoError(t, invalidate())
						if strict {
							got, _ := b.read("list:1", version+1)
							assert.Equal(t, version+1, got, "by %d", version)
						} else {
							require.Eventually(t, func() bool {
								got, _ := b.read("list:1", version+1)
								return got == version+1
							}, proofs.Patience(), time.Millisecond)
						}
						got, _ := a.read("list:1", version+1)
						assert.Equal(t, version+1, got, "of itself, by %d", version)
					}
					assert.Zero(t, a.near.NearStats().Membership.Unacknowledged)
				})
			}
		}
	}
}

// TestNearConformance runs the suite on the pair.
func TestNearConformance(t *testing.T) {
	t.Parallel()
	proofs.Require(t, "the conformance suite, for a near cache on a server", "-run ^TestNearConformance$ ./redisprovider")
	proofs.Unraced(t, "-run ^TestNearConformance$ ./redisprovider") // the cases run in real time
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	providertest.Run(t, func(t *testing.T) provider.CacheProvider {
		t.Helper()
		far, err := redisprovider.New(client, redisprovider.Options{KeyPrefix: freshPrefix(), NearLease: 20 * time.Millisecond})
		require.NoError(t, err)
		store, err := near.New(far, near.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = store.Close() })
		require.Eventually(t, func() bool { return store.NearStats().Membership.Valid }, proofs.Patience(), time.Millisecond)
		return store
	})
}

// TestNearWithoutOne: a process without a near cache invalidates what others have in theirs.
func TestNearWithoutOne(t *testing.T) {
	t.Parallel()
	for name, client := range deployments(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := redisprovider.Options{KeyPrefix: freshPrefix()}
			b := newNearProc(t, client(), o, near.Options{Strict: true})
			b.wait()
			plain := newProvider(t, client(), o)
			for version := range 5 {
				b.warm("k", version)
				require.NoError(t, plain.Delete(t.Context(), key("s", "k")))
				got, _ := b.read("k", version+1)
				assert.Equal(t, version+1, got)
			}
		})
	}
}

// TestNearIsNotThere: without near caches, nothing is stored for them, and nobody waits.
func TestNearIsNotThere(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{KeyPrefix: "none:"})
	require.NoError(t, p.Delete(t.Context(), key("s", "k")))
	_, err := p.DeletePrefix(t.Context(), "s", "")
	require.NoError(t, err)
	keys, err := client.Keys(t.Context(), "none:{:near}*").Result()
	require.NoError(t, err)
	assert.Empty(t, keys)
}

// TestNearFailover: the server is another one, with the record of the old one or without. B trusts its memory
// for the rest of its lease, and is cut off from the new server. No read of B is stale.
func TestNearFailover(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"promoted", "empty", "snapshot"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartReal(t, redistest.Options{})
			replica := redistest.StartReplica(t, s, redistest.Options{})
			o := redisprovider.Options{KeyPrefix: freshPrefix()}
			toB := redistest.NewProxy(t, s.Addr())
			var addr atomic.Pointer[string] // of the server that A talks to
			first := s.Addr()
			addr.Store(&first)
			clientOfA := newServerClient(t, first, func(o *redis.Options) {
				o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", *addr.Load())
				}
			})
			a := newNearProc(t, clientOfA, o, near.Options{Strict: true})
			a.wait()
			if name == "promoted" { // with a record of A, and without B
				_, err := clientOfA.Wait(t.Context(), 1, time.Minute).Result()
				require.NoError(t, err)
				replica.Promote()
			}
			b := newNearProc(t, newServerClient(t, toB.Addr()), o, near.Options{Strict: true})
			b.wait()
			a.warm("k", 1)
			b.warm("k", 1)
			toB.Refuse(true)
			toB.CutAll()
			switch name {
			case "promoted":
				second := replica.Addr()
				addr.Store(&second)
				s.Stop()
			case "empty":
				s.Restart()
			case "snapshot":
				s.Snapshot()
				s.Restart()
			}
			require.Eventually(t, func() bool { return a.scope.Invalidate(t.Context(), "k") == nil }, proofs.Patience(), time.Millisecond)
			got, from := b.read("k", 2)
			assert.Equal(t, 2, got, "from %v", from)
		})
	}
}

// TestNearSubscriptionCut: the connection of the subscription alone is gone, again and again, while the other
// process invalidates.
func TestNearSubscriptionCut(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	o := redisprovider.Options{KeyPrefix: freshPrefix()}
	a := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	b := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	admin := newServerClient(t, s.Addr())
	a.wait()
	b.wait()
	var stop atomic.Bool
	var cutting sync.WaitGroup
	cutting.Go(func() {
		for !stop.Load() {
			assert.NoError(t, admin.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err())
			time.Sleep(20 * time.Millisecond)
		}
	})
	for version := range 30 {
		require.NoError(t, a.scope.Invalidate(t.Context(), "k"))
		got, from := b.read("k", version)
		require.Equal(t, version, got, "from %v", from)
		b.read("k", version)
	}
	stop.Store(true)
	cutting.Wait()
	b.warm("k2", 1)
}

// TestNearRecordIsNotOurs: something else under the key of the record heals.
func TestNearRecordIsNotOurs(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	o := redisprovider.Options{KeyPrefix: freshPrefix()}
	a := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	b := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	a.wait()
	b.wait()
	record := o.KeyPrefix + "{:near}:r"
	for version, spoil := range []func() error{
		func() error { return client.Set(t.Context(), record, "no hash", 0).Err() },
		func() error { return client.Del(t.Context(), record).Err() },
		func() error { return client.HDel(t.Context(), record, "seq").Err() },
		func() error { return client.HSet(t.Context(), record, "run", "another").Err() },
		func() error { return client.FlushAll(t.Context()).Err() },
	} {
		b.warm("k", version)
		require.NoError(t, spoil())
		require.NoError(t, a.scope.Invalidate(t.Context(), "k"))
		got, _ := b.read("k", version+1)
		assert.Equal(t, version+1, got, "after %d", version)
	}
}

// TestNearOnAFullServer: a server that is out of memory removes and tells.
func TestNearOnAFullServer(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	o := redisprovider.Options{KeyPrefix: freshPrefix()}
	a := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	b := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	a.wait()
	b.wait()
	b.warm("k", 1)
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.NoError(t, a.scope.Invalidate(t.Context(), "k"))
	got, _ := b.read("k", 2)
	assert.Equal(t, 2, got)
	require.Eventually(t, func() bool { return b.near.NearStats().Membership.Valid }, proofs.Patience(), time.Millisecond)
}

// TestNearACL runs near caches as a user that may do only what the documentation lists.
func TestNearACL(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	rules := []string{"ACL", "SETUSER", "near", "on", ">secret", "resetkeys", "~rt:*", "resetchannels", "&rt:*", "-@all"}
	for _, command := range slices.Concat(redisprovider.NearCommandsForACL, redisprovider.CommandsForACL) {
		rules = append(rules, "+"+command)
	}
	s.Do(rules...)
	client := func() redis.UniversalClient {
		return newServerClient(t, s.Addr(), func(o *redis.Options) { o.Username, o.Password = "near", "secret" })
	}
	a := newNearProc(t, client(), redisprovider.Options{}, near.Options{Strict: true})
	b := newNearProc(t, client(), redisprovider.Options{}, near.Options{Strict: true})
	a.wait()
	b.wait()
	for version := range 3 {
		b.warm("k", version)
		require.NoError(t, a.scope.Invalidate(t.Context(), "k"))
		got, _ := b.read("k", version+1)
		assert.Equal(t, version+1, got)
	}
	require.NoError(t, b.cache.Close())
}

// TestNearOfAMasterWithoutReplicas: a near cache whose client stays with a master that was replaced is not
// renewed there, so it stops to answer by itself.
func TestNearOfAMasterWithoutReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.StartReal(t, redistest.Options{})
	replica := redistest.StartReplica(t, primary, redistest.Options{})
	far := newProvider(t, newServerClient(t, primary.Addr()), redisprovider.Options{FenceByServer: true, WaitReplicas: 1})
	store, err := near.New(far, near.Options{Strict: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	valid := func() bool { return store.NearStats().Membership.Valid }
	poll(t, valid)
	replica.Promote()
	require.Eventually(t, func() bool { return !valid() }, proofs.Patience(), 10*time.Millisecond, "the member is renewed for ever")
	for range 20 { // and it stays so, over some beats
		time.Sleep(20 * time.Millisecond)
		require.False(t, valid(), "a master without its replicas has renewed a member")
	}
}
