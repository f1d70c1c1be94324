// Package migrating_test runs docs/migrating.md: each "before" and each "after" is a package below this folder, and
// every outcome in the table of the page comes from a run of both. After a change of them,
//
//	go test ./migrating -write
//
// brings the code and the table into the page. Without -write, the test fails if the page has something else.
package migrating_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/benchmarks/migrating/after"
	"github.com/readthrough/readthrough/benchmarks/migrating/goredis"
	"github.com/readthrough/readthrough/benchmarks/migrating/onceandmap"
	"github.com/readthrough/readthrough/benchmarks/migrating/otter"
	"github.com/readthrough/readthrough/benchmarks/migrating/rueidisaside"
	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
	"github.com/readthrough/readthrough/benchmarks/migrating/sturdyc"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

var write = flag.Bool("write", false, "write the code and the table into docs/migrating.md")

// service is the cached repository, on whatever cache.
type service interface {
	Get(ctx context.Context, id int64) (shop.Product, error)
	GetMany(ctx context.Context, ids []int64) (map[int64]shop.Product, error)
	Save(ctx context.Context, product shop.Product) error
}

// library is a way to cache the repository.
type library struct {
	name string
	// open opens the cache of another process; addr is the server, if it is remote.
	open   func(t *testing.T, addr string, repo *shop.Repository) service
	remote bool
	// pushed: another process learns of a change by a message, for which nobody waits.
	pushed bool
}

func libraries() []library {
	return []library{
		{name: "single flight and a map", open: func(_ *testing.T, _ string, repo *shop.Repository) service { return onceandmap.New(repo) }},
		{name: "sturdyc", open: func(_ *testing.T, _ string, repo *shop.Repository) service { return sturdyc.New(repo) }},
		{name: "**after**, `memory`", open: openMemory},
		{name: "go-redis/cache", remote: true, open: func(t *testing.T, addr string, repo *shop.Repository) service {
			t.Helper()
			return goredis.New(client(t, addr), repo)
		}},
		{name: "otter and Redis by hand", remote: true, open: func(t *testing.T, addr string, repo *shop.Repository) service {
			t.Helper()
			products, err := otter.New(client(t, addr), repo)
			require.NoError(t, err)
			return products
		}},
		{name: "rueidisaside", remote: true, pushed: true, open: openRueidis},
		{name: "**after**, `redisprovider`", remote: true, open: openRedis},
		{name: "**after**, `near`, strict", remote: true, open: openNear},
	}
}

func client(t *testing.T, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() }) // its connections may be cut
	return c
}

func open(t *testing.T, store provider.CacheProvider, repo *shop.Repository) service {
	t.Helper()
	products, err := after.New(store, repo)
	require.NoError(t, err)
	t.Cleanup(func() { _ = products.Close() }) // the server may be out of reach
	return products
}

func openMemory(t *testing.T, _ string, repo *shop.Repository) service {
	t.Helper()
	store, err := memory.New(memory.Options{MaxEntries: 100_000})
	require.NoError(t, err)
	return open(t, store, repo)
}

func openRedis(t *testing.T, addr string, repo *shop.Repository) service {
	t.Helper()
	store, err := redisprovider.New(client(t, addr), redisprovider.Options{KeyPrefix: "shop:"})
	require.NoError(t, err)
	return open(t, store, repo)
}

func openNear(t *testing.T, addr string, repo *shop.Repository) service {
	t.Helper()
	far, err := redisprovider.New(client(t, addr), redisprovider.Options{KeyPrefix: "shop:"})
	require.NoError(t, err)
	store, err := near.New(far, near.Options{Strict: true})
	require.NoError(t, err)
	return open(t, store, repo)
}

func openRueidis(t *testing.T, addr string, repo *shop.Repository) service {
	t.Helper()
	products, err := rueidisaside.New(addr, repo)
	require.NoError(t, err)
	t.Cleanup(func() { go products.Close() }) // it may wait, without a bound, for a server that is out of reach
	return products
}

// The rows of the tests: the cup is changed from old to new.
func cupOld() shop.Product { return shop.Product{ID: 1, Name: "cup", Cents: 900} }
func cupNew() shop.Product { return shop.Product{ID: 1, Name: "cup", Cents: 700} }

func fill(t *testing.T) *shop.Repository {
	t.Helper()
	repo := new(shop.Repository)
	for _, product := range []shop.Product{cupOld(), {ID: 2, Name: "pot", Cents: 3500}, {ID: 3, Name: "tin", Cents: 600}} {
		require.NoError(t, repo.Save(t.Context(), product))
	}
	return repo
}

// age returns which of its two versions the cup is.
func age(t *testing.T, got shop.Product, err error) string {
	t.Helper()
	require.NoError(t, err)
	if got == cupOld() {
		return "old"
	}
	require.Equal(t, cupNew(), got)
	return "new"
}

// TestMigrating runs all libraries through all situations, and compares the table of the page.
func TestMigrating(t *testing.T) {
	situations := []situation{
		{name: "a change during a load: the next read", run: lateFill},
		{name: "a read that begins after a change, during an older load", run: joined, bubble: true},
		{name: "the first reader leaves: the others get", run: firstLeaves, bubble: true},
		{name: "another process reads after a change", run: otherProcess, remote: true},
		{name: "Redis is away: a read", run: readsWithoutRedis, remote: true},
		{name: "Redis was away during a change: the next read", run: lostDeletion, remote: true},
		{name: "queries for an absent row, read twice", run: absentTwice},
		{name: "queries for three ids, one of them cached", run: bulk},
	}
	var table strings.Builder
	table.WriteString("|")
	for _, s := range situations {
		table.WriteString(" | " + s.name)
	}
	table.WriteString(" |\n|---" + strings.Repeat("|---", len(situations)) + "|\n")
	// All situations have one server, which is empty at the beginning of each.
	var server *redistest.Server
	if redistest.Installed() {
		server = redistest.Start(t, redistest.Options{})
	}
	start := func(t *testing.T) *redistest.Proxy {
		t.Helper()
		server.Do("FLUSHALL")
		return redistest.NewProxy(t, server.Addr())
	}
	var same []string
	rows := 0
	for _, l := range libraries() {
		t.Run(l.name, func(t *testing.T) {
			if l.remote {
				redistest.Require(t)
			}
			results := ordinary(t, l, start)
			if same == nil {
				same = results
			}
			assert.Equal(t, same, results, "what the library before this one has returned")
			table.WriteString("| " + l.name)
			for _, s := range situations {
				outcome := "–"
				t.Run(s.name, func(t *testing.T) { outcome = s.of(t, l, start) })
				table.WriteString(" | " + outcome)
				if strings.HasPrefix(l.name, "**after**") {
					assert.Contains(t, []string{"–", "new", "the value", "1"}, outcome, "%s: what the page calls right", s.name)
				}
			}
			table.WriteString(" |\n")
			rows++
		})
	}
	t.Logf("\n%s", table.String())
	if rows == len(libraries()) { // not if some are left out
		publish(t, "table: outcomes", "\n"+table.String()+"\n")
	}
}

// situation is something in which caches differ.
type situation struct {
	name   string
	run    func(t *testing.T, open func(t *testing.T) service, repo *shop.Repository, server *redistest.Proxy) string
	bubble bool // it takes place in a bubble, where there are no servers
	remote bool // it needs a server
}

// of returns what a library does in the situation.
func (s situation) of(t *testing.T, l library, start func(t *testing.T) *redistest.Proxy) (outcome string) {
	t.Helper()
	if s.bubble && l.remote || s.remote && !l.remote {
		return "–"
	}
	if s.bubble {
		synctest.Test(t, func(t *testing.T) {
			repo := fill(t)
			outcome = s.run(t, func(t *testing.T) service { t.Helper(); return l.open(t, "", repo) }, repo, nil)
		})
		return outcome
	}
	var server *redistest.Proxy
	addr, repo := "", fill(t)
	if l.remote {
		server = start(t)
		addr = server.Addr()
	}
	outcome = s.run(t, func(t *testing.T) service { t.Helper(); return l.open(t, addr, repo) }, repo, server)
	if l.pushed && s.remote && outcome == "new" {
		outcome = "new, a message later" // in this run it has come already
	}
	return outcome
}

// ordinary is a service at work. It returns what it got.
func ordinary(t *testing.T, l library, start func(t *testing.T) *redistest.Proxy) (results []string) {
	t.Helper()
	addr, ctx, repo := "", t.Context(), fill(t)
	if l.remote {
		addr = start(t).Addr()
	}
	s := l.open(t, addr, repo)
	note := func(what string, got any, err error) {
		results = append(results, fmt.Sprintf("%s: %+v, absent: %v", what, got, errors.Is(err, shop.ErrNoProduct)))
		if err != nil {
			require.ErrorIs(t, err, shop.ErrNoProduct, what)
		}
	}
	read := func(what string, id int64) {
		product, err := s.Get(ctx, id)
		note(what, product, err)
	}
	read("cold", 1)
	read("stored", 1)
	read("absent", 99)
	found, err := s.GetMany(ctx, []int64{1, 2, 99})
	note("many", found, err)
	require.NoError(t, s.Save(ctx, cupNew()))
	if l.pushed {
		eventually(t, s)
	}
	read("changed", 1)
	require.NoError(t, s.Save(ctx, shop.Product{ID: 99, Name: "lid", Cents: 200}))
	read("created", 99)
	found, err = s.GetMany(ctx, []int64{1, 2, 3, 99})
	note("all", found, err)
	return results
}

// eventually reads the cup until it is the new one.
func eventually(t *testing.T, s service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if product, err := s.Get(ctx, 1); age(t, product, err) == "new" {
			return
		}
	}
}

// held is a read of the cup whose query has seen the row and is held up.
type held struct {
	release chan struct{}
	done    chan struct{}
	product shop.Product
	err     error
}

// hold begins a read of the cup, and returns when its query has seen the row.
func hold(ctx context.Context, s service, repo *shop.Repository) *held {
	h := &held{release: make(chan struct{}), done: make(chan struct{})}
	seen := make(chan struct{})
	repo.OnRead(func(ctx context.Context) error {
		close(seen)
		select {
		case <-h.release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	go func() {
		defer close(h.done)
		h.product, h.err = s.Get(ctx, 1)
	}()
	<-seen
	repo.OnRead(nil)
	return h
}

func lateFill(t *testing.T, open func(t *testing.T) service, repo *shop.Repository, _ *redistest.Proxy) string {
	t.Helper()
	s := open(t)
	loading := hold(t.Context(), s, repo)
	require.NoError(t, s.Save(t.Context(), cupNew()))
	close(loading.release)
	<-loading.done
	require.NoError(t, loading.err)
	product, err := s.Get(t.Context(), 1)
	return age(t, product, err)
}

func joined(t *testing.T, open func(t *testing.T) service, repo *shop.Repository, _ *redistest.Proxy) (outcome string) {
	t.Helper()
	s := open(t)
	loading := hold(t.Context(), s, repo)
	require.NoError(t, s.Save(t.Context(), cupNew()))
	go func() {
		synctest.Wait() // the read below waits, or has ended
		close(loading.release)
	}()
	product, err := s.Get(t.Context(), 1)
	<-loading.done
	return age(t, product, err)
}

func firstLeaves(t *testing.T, open func(t *testing.T) service, repo *shop.Repository, _ *redistest.Proxy) string {
	t.Helper()
	s := open(t)
	ctx, leave := context.WithCancel(t.Context())
	loading := hold(ctx, s, repo)
	go func() {
		synctest.Wait() // the read below waits
		leave()
		synctest.Wait()
		close(loading.release)
	}()
	_, err := s.Get(t.Context(), 1)
	<-loading.done
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
		return "its error"
	}
	return "the value"
}

func otherProcess(t *testing.T, open func(t *testing.T) service, _ *shop.Repository, _ *redistest.Proxy) string {
	t.Helper()
	a, b := open(t), open(t)
	product, err := b.Get(t.Context(), 1)
	require.Equal(t, "old", age(t, product, err))
	require.NoError(t, a.Save(t.Context(), cupNew()))
	switch a := a.(type) {
	case *after.Products:
		for a.Pending() > 0 && t.Context().Err() == nil { // on a busy machine
			runtime.Gosched()
		}
	case *rueidisaside.Products:
		eventually(t, b)
	}
	product, err = b.Get(t.Context(), 1)
	return age(t, product, err)
}

func readsWithoutRedis(t *testing.T, open func(t *testing.T) service, _ *shop.Repository, server *redistest.Proxy) string {
	t.Helper()
	s := open(t)
	_, err := s.Get(t.Context(), 2) // it is connected
	require.NoError(t, err)
	server.Refuse(true)
	server.CutAll()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.Get(ctx, 1); err != nil {
		return "an error"
	}
	return "the value"
}

func lostDeletion(t *testing.T, open func(t *testing.T) service, _ *shop.Repository, server *redistest.Proxy) string {
	t.Helper()
	s := open(t)
	product, err := s.Get(t.Context(), 1)
	require.Equal(t, "old", age(t, product, err))
	server.Refuse(true)
	server.CutAll()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_ = s.Save(ctx, cupNew()) // the row is changed. Some say that the deletion has failed
	server.Refuse(false)
	for {
		if product, err = s.Get(t.Context(), 1); err == nil || t.Context().Err() != nil {
			return age(t, product, err)
		}
	}
}

// tries is how often a count is taken. On a busy machine, Redis may not answer in time, and then a read loads.
const tries = 20

func absentTwice(t *testing.T, open func(t *testing.T) service, repo *shop.Repository, _ *redistest.Proxy) string {
	t.Helper()
	s := open(t)
	least := int64(math.MaxInt64)
	for try := range int64(tries) {
		before := repo.Queries.Load()
		for range 2 {
			_, err := s.Get(t.Context(), 1000+try)
			require.ErrorIs(t, err, shop.ErrNoProduct)
		}
		least = min(least, repo.Queries.Load()-before)
	}
	return fmt.Sprint(least)
}

func bulk(t *testing.T, open func(t *testing.T) service, repo *shop.Repository, _ *redistest.Proxy) string {
	t.Helper()
	s := open(t)
	least := int64(math.MaxInt64)
	for try := range int64(tries) {
		ids := []int64{100 + 3*try, 101 + 3*try, 102 + 3*try}
		for _, id := range ids {
			require.NoError(t, repo.Save(t.Context(), shop.Product{ID: id}))
		}
		_, err := s.Get(t.Context(), ids[0])
		require.NoError(t, err)
		before := repo.Queries.Load()
		found, err := s.GetMany(t.Context(), ids)
		require.NoError(t, err)
		require.Len(t, found, 3)
		least = min(least, repo.Queries.Load()-before)
	}
	return fmt.Sprint(least)
}
