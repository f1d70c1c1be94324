// Package byhand_test runs docs/why-not-go-redis.md: in each situation, a read-aside cache by hand and this library on
// the same server. After a change,
//
//	go test ./byhand -write
//
// brings the code and the table into the page. Without -write, the test fails if the page has something else.
package byhand_test

import (
	"context"
	"errors"
	"flag"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/benchmarks/byhand"
	"github.com/readthrough/readthrough/benchmarks/internal/document"
	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

var write = flag.Bool("write", false, "write the code and the table into docs/why-not-go-redis.md")

const page = "../../docs/why-not-go-redis.md"

// process is one of the processes of a service. The functions are steps that a test puts between others.
type process struct {
	repo *shop.Repository
	get  func(ctx context.Context) (shop.Product, error)
	save func(ctx context.Context) error
	// begin makes the change, and stops before the cache hears of it, as a process that has died. end is for the
	// test, which goes on: it lets go what begin has left.
	begin func(t *testing.T) (end func())
	// transaction runs during between the invalidation and the commit.
	transaction func(ctx context.Context, during func()) error
}

const cup = 1

func cupOld() shop.Product { return shop.Product{ID: cup, Name: "cup", Cents: 900} }
func cupNew() shop.Product { return shop.Product{ID: cup, Name: "cup", Cents: 700} }

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() }) // its connections may be cut
	return c
}

func openByHand(t *testing.T, addr string, repo *shop.Repository) *process {
	t.Helper()
	p := &byhand.Products{Repo: repo, Client: client(t, addr)}
	return &process{
		repo: repo,
		get:  func(ctx context.Context) (shop.Product, error) { return p.Get(ctx, cup) },
		save: func(ctx context.Context) error { return p.Save(ctx, cupNew()) },
		begin: func(t *testing.T) func() {
			t.Helper()
			require.NoError(t, repo.Save(t.Context(), cupNew()))
			return func() {}
		},
		transaction: func(ctx context.Context, during func()) error {
			err := p.Client.Del(ctx, "product:1").Err()
			during()
			return errors.Join(err, repo.Save(ctx, cupNew())) // the commit
		},
	}
}

func openOurs(t *testing.T, addr string, repo *shop.Repository) *process {
	t.Helper()
	store, err := redisprovider.New(client(t, addr), redisprovider.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() }) // the server may be out of reach
	scope, err := cache.Scope("shop", readthrough.ScopeOptions{TTL: time.Minute, NotFound: shop.ErrNoProduct})
	require.NoError(t, err)
	products, err := readthrough.NewFamily(scope, "product:", readthrough.Loads[int64, shop.Product]{One: repo.Get})
	require.NoError(t, err)
	change := func(ctx context.Context, hold readthrough.Targets, write func(ctx context.Context) error) error {
		_, err := readthrough.Mutate(ctx, scope, readthrough.Mutation[struct{}]{
			Targets: products.Of(cup), Hold: hold,
			Write: func(ctx context.Context) (struct{}, error) { return struct{}{}, write(ctx) },
		})
		return err
	}
	save := func(ctx context.Context) error { return repo.Save(ctx, cupNew()) }
	return &process{
		repo: repo,
		get:  func(ctx context.Context) (shop.Product, error) { return products.Get(ctx, cup) },
		save: func(ctx context.Context) error { return change(ctx, readthrough.Targets{}, save) },
		begin: func(t *testing.T) func() {
			t.Helper()
			written, died, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				err := readthrough.ErrNotHeld
				for errors.Is(err, readthrough.ErrNotHeld) { // on a busy machine: nothing was written
					err = change(t.Context(), products.Of(cup), func(ctx context.Context) error {
						err := save(ctx)
						close(written)
						<-died
						return err
					})
				}
				assert.NoError(t, err)
			}()
			<-written
			return func() { close(died); <-gone }
		},
		transaction: func(ctx context.Context, during func()) error {
			batch := cache.Collect()
			defer batch.Discard()
			err := products.Invalidate(batch.In(ctx), cup)
			during()
			err = batch.Done(ctx, errors.Join(err, save(ctx))) // the commit
			if !errors.Is(err, readthrough.ErrInvalidationPending) {
				return err
			}
			for scope.Stats().Pending > 0 && ctx.Err() == nil { // on a busy machine
				runtime.Gosched()
			}
			return ctx.Err()
		},
	}
}

// situation is one in which both caches are, with two processes on one server.
type situation struct {
	name         string
	byHand, ours string // what the last read gets
	run          func(t *testing.T, a, b *process, server *redistest.Proxy) (shop.Product, error)
}

func situations() []situation {
	return []situation{
		{"1. A reads the row. A changes it and deletes the key. Then A's load fills", "old", "new", lateFillOfOne},
		{"2. The same, and B changes the row", "old", "new", lateFillOfTwo},
		{"3. A read begins after the change, while an older load runs", "old", "new", joined},
		{"4. Redis cannot be reached when the key is deleted", "old", "new", lostDeletion},
		{"5. A process dies between the write and the deletion", "old", "new", died},
		{"6. The deletion comes before the commit", "old", "new", beforeCommit},
		{"7. Redis hangs, and the reader has two seconds", "an error", "new", hangs},
	}
}

// TestByHand runs all situations, and compares the table of the page.
func TestByHand(t *testing.T) {
	server := redistest.StartReal(t, redistest.Options{})
	rows := 0
	var table strings.Builder
	table.WriteString("\n| | by hand | this library |\n|---|---|---|\n")
	for _, s := range situations() {
		t.Run(s.name, func(t *testing.T) {
			byHand, ours := s.of(t, server, openByHand), s.of(t, server, openOurs)
			assert.Equal(t, s.byHand, byHand, "by hand")
			assert.Equal(t, s.ours, ours, "this library")
			table.WriteString("| " + s.name + " | " + byHand + " | " + ours + " |\n")
			rows++
		})
	}
	table.WriteString("\n")
	if rows < len(situations()) { // some are left out
		return
	}
	publish(t, "table: situations", table.String())
}

// TestCode: the code on the page is that of the package.
func TestCode(t *testing.T) {
	code, err := document.Code("byhand.go")
	require.NoError(t, err)
	publish(t, "code: byhand.go", code)
}

func publish(t *testing.T, name, text string) {
	t.Helper()
	if *write {
		require.NoError(t, document.Write(page, name, text))
	}
	there, err := document.Read(page, name)
	require.NoError(t, err)
	assert.Equal(t, text, there, "%q on the page; cd benchmarks && go test ./byhand -write", name)
}

func (s situation) of(t *testing.T, redisServer *redistest.Server, open func(t *testing.T, addr string, repo *shop.Repository) *process) string {
	t.Helper()
	redisServer.Do("FLUSHALL")
	server := redistest.NewProxy(t, redisServer.Addr())
	repo := new(shop.Repository)
	require.NoError(t, repo.Save(t.Context(), cupOld()))
	got, err := s.run(t, open(t, server.Addr(), repo), open(t, server.Addr(), repo), server)
	switch {
	case err != nil:
		return "an error"
	case got == cupOld():
		return "old"
	}
	require.Equal(t, cupNew(), got)
	return "new"
}

// held is a read whose query has seen the row and is held up.
type held struct {
	release, done chan struct{}
	err           error
}

// hold begins a read of p, and returns when its query has seen the row.
func hold(t *testing.T, p *process) *held {
	t.Helper()
	h := &held{release: make(chan struct{}), done: make(chan struct{})}
	seen := make(chan struct{})
	p.repo.OnRead(func(context.Context) error {
		close(seen)
		<-h.release
		return nil
	})
	go func() {
		defer close(h.done)
		_, h.err = p.get(t.Context())
	}()
	<-seen
	p.repo.OnRead(nil)
	return h
}

// finish lets the query return, and waits for the read.
func (h *held) finish(t *testing.T) {
	t.Helper()
	close(h.release)
	<-h.done
	require.NoError(t, h.err)
}

func lateFillOfOne(t *testing.T, a, _ *process, _ *redistest.Proxy) (shop.Product, error) {
	t.Helper()
	reading := hold(t, a)
	require.NoError(t, a.save(t.Context()))
	reading.finish(t)
	return a.get(t.Context())
}

func lateFillOfTwo(t *testing.T, a, b *process, _ *redistest.Proxy) (shop.Product, error) {
	t.Helper()
	reading := hold(t, a)
	require.NoError(t, b.save(t.Context()))
	reading.finish(t)
	return b.get(t.Context())
}

func joined(t *testing.T, a, _ *process, _ *redistest.Proxy) (got shop.Product, err error) {
	t.Helper()
	reading := hold(t, a)
	require.NoError(t, a.save(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err = a.get(t.Context())
	}()
	for !joining() { // it joins the older load, or it ends by itself
		select {
		case <-done:
			reading.finish(t)
			return got, err
		default:
			runtime.Gosched()
		}
	}
	reading.finish(t)
	<-done
	return got, err
}

// joining reports whether a goroutine waits for a single flight of x/sync.
func joining() bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "singleflight.(*Group).Do(") && strings.Contains(stack, "sync.(*WaitGroup).Wait") {
			return true
		}
	}
	return false
}

func lostDeletion(t *testing.T, a, _ *process, server *redistest.Proxy) (got shop.Product, err error) {
	t.Helper()
	_, err = a.get(t.Context())
	require.NoError(t, err)
	server.Refuse(true)
	server.CutAll()
	_ = a.save(t.Context()) // by hand, it returns an error, and the row is changed
	server.Refuse(false)
	return a.get(t.Context())
}

func died(t *testing.T, a, b *process, _ *redistest.Proxy) (shop.Product, error) {
	t.Helper()
	_, err := b.get(t.Context())
	require.NoError(t, err)
	end := a.begin(t)
	defer end()
	return b.get(t.Context())
}

func beforeCommit(t *testing.T, a, b *process, _ *redistest.Proxy) (shop.Product, error) {
	t.Helper()
	err := a.transaction(t.Context(), func() {
		_, err := b.get(t.Context())
		assert.NoError(t, err)
	})
	require.NoError(t, err)
	return b.get(t.Context())
}

func hangs(t *testing.T, a, _ *process, server *redistest.Proxy) (shop.Product, error) {
	t.Helper()
	_, err := a.get(t.Context())
	require.NoError(t, err)
	require.NoError(t, a.save(t.Context()))
	server.Hold(redistest.ToServer)
	defer server.Release(redistest.ToServer)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return a.get(ctx)
}
