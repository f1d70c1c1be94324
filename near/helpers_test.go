package near_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// lease is that of the members of the tests.
const lease = 500 * time.Millisecond

// process is a process of a fleet: its end of the shared store, its near cache, and its cache.
type process struct {
	t     *testing.T
	far   *neartest.Store
	near  *near.Store
	cache *readthrough.Cache
	scope *readthrough.CachedScope
	loads atomic.Int64
	// source is what loads return.
	source *atomic.Int64
	// onLoad is called in each load, after the source was read.
	onLoad func()
}

// fleet starts n processes in front of one server, and waits until all of them may answer from memory.
func fleet(t *testing.T, server *neartest.Server, n int, options near.Options) []*process {
	t.Helper()
	source := new(atomic.Int64)
	source.Store(1)
	all := make([]*process, n)
	for i := range all {
		all[i] = join(t, server, source, options, readthrough.ScopeOptions{TTL: time.Minute})
	}
	settle()
	return all
}

// settle waits until the members are members, and the epoch is older than a lease.
func settle() {
	time.Sleep(2 * lease)
	synctest.Wait()
}

func join(t *testing.T, server *neartest.Server, source *atomic.Int64, options near.Options, scope readthrough.ScopeOptions) *process {
	t.Helper()
	return joinWith(t, server, source, options, scope, readthrough.Options{})
}

// joinWith is join with options of the cache. It sets their OnError.
func joinWith(t *testing.T, server *neartest.Server, source *atomic.Int64, options near.Options, scope readthrough.ScopeOptions, cache readthrough.Options) *process {
	t.Helper()
	p := &process{t: t, source: source, far: neartest.NewStore(t.Context(), server, lease)}
	var err error
	p.near, err = near.New(p.far, options)
	require.NoError(t, err)
	cache.OnError = func(err *readthrough.OpError) { t.Log("told:", err) }
	p.cache, err = readthrough.New(p.near, cache)
	require.NoError(t, err)
	p.scope, err = p.cache.Scope("s", scope)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.far.CutData.Store(false)
		_ = p.cache.Close()
	})
	return p
}

// box is a value of the tests.
type box struct{ N int64 }

// read reads key, and returns the version and where it comes from.
func (p *process) read(key string) (int64, readthrough.Source) {
	p.t.Helper()
	r, err := readthrough.WrapResult(context.Background(), p.scope, key, p.load)
	require.NoError(p.t, err)
	return r.Value.N, r.Source
}

func (p *process) load(context.Context) (*box, error) {
	p.loads.Add(1)
	v := &box{p.source.Load()}
	if p.onLoad != nil {
		p.onLoad()
	}
	return v, nil
}

// readMany reads keys and returns their versions.
func (p *process) readMany(keys ...string) map[string]int64 {
	p.t.Helper()
	got, err := readthrough.WrapMany(context.Background(), p.scope, keys, func(k string) string { return k },
		func(_ context.Context, missing []string) (map[string]*box, error) {
			p.loads.Add(1)
			all := make(map[string]*box)
			for _, k := range missing {
				all[k] = &box{p.source.Load()}
			}
			return all, nil
		})
	require.NoError(p.t, err)
	all := make(map[string]int64)
	for k, v := range got {
		all[k] = v.N
	}
	return all
}

// write changes the source and invalidates.
func (p *process) write(keys ...string) {
	p.t.Helper()
	p.source.Add(1)
	require.NoError(p.t, p.scope.Invalidate(context.Background(), keys...))
}

// wantRead asserts what a read returns.
func (p *process) wantRead(key string, version int64, source readthrough.Source) {
	p.t.Helper()
	got, from := p.read(key)
	assert.Equal(p.t, version, got, "the version of %s", key)
	assert.Equal(p.t, source.String(), from.String(), "the source of %s", key)
}

// warm reads key until it is in the memory of all.
func warm(all []*process, key string) {
	for _, p := range all {
		p.t.Helper()
		p.read(key)
		p.read(key)
		_, from := p.read(key)
		require.Equal(p.t, readthrough.FromNear, from)
	}
}

func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// modes runs f in both modes.
func modes(t *testing.T, f func(t *testing.T, options near.Options)) {
	t.Helper()
	for _, strict := range []bool{true, false} {
		t.Run("strict "+strconv.FormatBool(strict), func(t *testing.T) {
			inBubble(t, func(t *testing.T) { f(t, near.Options{Strict: strict}) })
		})
	}
}

func key(name string) provider.Key { return provider.Key{Scope: "s", Name: name} }

// gate holds up requests of one kind at a moment, from the call of close to that of open.
type gate struct {
	arrived, opened chan struct{}
}

// hold holds up the next request op of p at when.
func (p *process) hold(when neartest.When, op string) *gate {
	g := &gate{make(chan struct{}), make(chan struct{})}
	var once atomic.Bool
	p.far.On(when, func(_ context.Context, is string) error {
		if is == op && once.CompareAndSwap(false, true) {
			close(g.arrived)
			<-g.opened
		}
		return nil
	})
	return g
}

func (g *gate) open() { close(g.opened) }
