package stepbystep_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// The twenty minutes of the service.
const (
	length    = 20 * time.Minute
	down      = 4 * time.Minute // the database does not answer from here
	up        = 14 * time.Minute
	deploy    = 9 * time.Minute // the first process is replaced, the others after it
	apart     = 20 * time.Second
	processes = 3
	products  = 100
	rate      = 20 // reads a second, of all processes together
	hanging   = 2 * time.Second
	changes   = 15 * time.Second // between two changes, each of one of the ten products that are read most often
	roundTrip = 500 * time.Microsecond
	ttl       = time.Minute
	short     = 5 * time.Millisecond // a read that takes longer has waited for a query
	long      = 250 * time.Millisecond
)

// product is a row, with what the tests want to know about it.
type product struct {
	ID, Version int64
	LoadedAt    time.Time
}

var errDown = errors.New("the database does not answer")

// database is the source. Its rows have versions.
type database struct {
	began   time.Time
	queries [length/bin + 1]atomic.Int64
	// requests are those to the store that the processes share.
	requests [length/bin + 1]atomic.Int64
	number   atomic.Int64

	mu sync.Mutex // guards following

	versions  [products]int64 // what is committed
	announced [products]int64 // what readers have to see: its invalidation has returned
}

func (d *database) at() time.Duration { return time.Since(d.began) }

func (d *database) isDown() bool { return d.at() >= down && d.at() < up }

// load is a query.
func (d *database) load(ctx context.Context, id int64) (product, error) {
	d.queries[d.at()/bin].Add(1)
	if d.isDown() {
		return product{}, errors.Join(sleep(ctx, hanging), errDown)
	}
	d.mu.Lock()
	version := d.versions[id]
	d.mu.Unlock()
	// A query takes 10 to 50 ms, and an odd number of nanoseconds; see arrivals.
	took := 10*time.Millisecond + time.Duration(rand.New(rand.NewPCG(*seed, uint64(d.number.Add(1)))).Int64N(int64(40*time.Millisecond))) | 1
	if err := sleep(ctx, took); err != nil {
		return product{}, err
	}
	if d.isDown() {
		return product{}, errDown
	}
	return product{id, version, time.Now()}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit changes a row.
func (d *database) commit(id int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.versions[id]++
	return d.versions[id]
}

// announce says that the invalidation of a version has returned.
func (d *database) announce(id, version int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.announced[id] = max(d.announced[id], version)
}

func (d *database) seen(id int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.announced[id]
}

// process is one process of the service.
type process struct {
	cache  *readthrough.Cache
	scope  *readthrough.CachedScope
	family *readthrough.Family[int64, product]
	db     *database
}

// start starts a process, whose store is new.
func (s *step) start(t *testing.T, db *database, server *neartest.Server) *process {
	t.Helper()
	p := &process{db: db}
	if s.store == none {
		return p
	}
	cache, err := readthrough.New(s.open(t, db, server), readthrough.Options{OnError: func(*readthrough.OpError) {}})
	require.NoError(t, err)
	options := s.options
	options.TTL, options.Jitter = ttl, -1 // without jitter, every run is the same
	p.cache = cache
	p.scope, err = cache.Scope("shop", options)
	require.NoError(t, err)
	p.family, err = readthrough.NewFamily(p.scope, "product:", readthrough.Loads[int64, product]{One: db.load})
	require.NoError(t, err)
	return p
}

func (s *step) open(t *testing.T, db *database, server *neartest.Server) provider.CacheProvider {
	t.Helper()
	if s.store == inMemory {
		store, err := memory.New(memory.Options{})
		require.NoError(t, err)
		return store
	}
	far := neartest.NewStore(t.Context(), server, 0)
	far.On(neartest.Sent, func(_ context.Context, op string) error {
		if op != "beat" && op != "ack" {
			db.requests[db.at()/bin].Add(1)
		}
		time.Sleep(roundTrip / 2)
		return nil
	})
	far.On(neartest.Executed, func(context.Context, string) error {
		time.Sleep(roundTrip / 2)
		return nil
	})
	if s.store == inRedis {
		return far
	}
	store, err := near.New(far, near.Options{Strict: true})
	require.NoError(t, err)
	return store
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.cache != nil {
		assert.NoError(t, p.cache.Close())
	}
}

func (p *process) read(ctx context.Context, id int64) (product, error) {
	if p.cache == nil {
		return p.db.load(ctx, id)
	}
	return p.family.Get(ctx, id)
}

// change changes a product, as every service should: write, invalidate, tell.
func (p *process) change(ctx context.Context, id int64) error {
	if p.cache == nil {
		p.db.announce(id, p.db.commit(id))
		return nil
	}
	_, err := readthrough.Mutate(ctx, p.scope, readthrough.Mutation[int64]{
		Targets: p.family.Of(id),
		Write:   func(context.Context) (int64, error) { return p.db.commit(id), nil },
		Emit:    func(_ context.Context, version int64) error { p.db.announce(id, version); return nil },
	})
	return err
}
