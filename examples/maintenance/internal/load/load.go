// Package load reads maintenances like many clients, so that the page has
// something to show. Every call is bounded, and only one runs at a time.
package load

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/cache"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// Limits.
const (
	// MaxReaders is the most readers of a storm.
	MaxReaders = 1000
	// MaxDuration is the longest that steady readers read.
	MaxDuration = 30 * time.Second

	steadyReaders = 16
	steadyPause   = 4 * time.Millisecond
)

// ErrBusy is the error of a call while another call runs.
var ErrBusy = errors.New("load: one at a time")

// Report is what the readers measured.
type Report struct {
	Readers int   `json:"readers"`
	Reads   int64 `json:"reads"`
	Failed  int64 `json:"failed"`
	// Queries is the number of queries to the database that these reads caused.
	Queries int64 `json:"queries"`
	// Half of the reads took at most P50, 99 of a hundred at most P99, and none
	// longer than Longest, in milliseconds.
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Longest float64 `json:"longest_ms"`
}

// Generator runs readers. It is safe for concurrent use.
type Generator struct {
	maintenances *cache.Maintenances
	closed       chan struct{}
	close        sync.Once
	busy         sync.Mutex // held while readers run
}

// New returns a generator of readers of m.
func New(m *cache.Maintenances) *Generator {
	return &Generator{maintenances: m, closed: make(chan struct{})}
}

// Close ends running readers soon.
func (g *Generator) Close() { g.close.Do(func() { close(g.closed) }) }

// Storm runs readers at the same time, 1 to [MaxReaders]. All read one
// maintenance, which Storm first removes from the cache.
func (g *Generator) Storm(ctx context.Context, id int64, readers int) (Report, error) {
	if !g.busy.TryLock() {
		return Report{}, ErrBusy
	}
	defer g.busy.Unlock()
	// Without a confirmation the key is cold too: this process does not read it
	// from the store until the store confirms.
	_ = g.maintenances.Forget(ctx, id) //nolint:errcheck // see above
	start := make(chan struct{})
	return g.run(ctx, min(max(readers, 1), MaxReaders), func(ctx context.Context, _ int, read func(func() error)) {
		<-start
		read(func() error { _, err := g.maintenances.Get(ctx, id); return err })
	}, func() { close(start) }), nil
}

// Steady runs a few readers for d, at most [MaxDuration]. They read in various
// ways.
func (g *Generator) Steady(ctx context.Context, d time.Duration) (Report, error) {
	if !g.busy.TryLock() {
		return Report{}, ErrBusy
	}
	defer g.busy.Unlock()
	all, err := g.maintenances.List(ctx, service.Filters{})
	if err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(d, MaxDuration))
	defer cancel()
	return g.run(ctx, steadyReaders, func(ctx context.Context, i int, read func(func() error)) {
		pause := time.NewTicker(steadyPause)
		defer pause.Stop()
		for ; ; i++ {
			select {
			case <-pause.C:
				read(func() error { return g.readSomething(ctx, all, i) })
			case <-ctx.Done():
				return
			case <-g.closed:
				return
			}
		}
	}, func() {}), nil
}

// readSomething reads in one of the ways in which clients read. Its context does
// not end with that of the readers, so that no read is cut short.
func (g *Generator) readSomething(ctx context.Context, all []service.Maintenance, i int) (err error) {
	ctx = context.WithoutCancel(ctx)
	if len(all) == 0 {
		_, err = g.maintenances.List(ctx, service.Filters{})
		return err
	}
	m := all[i%len(all)]
	switch i % 8 {
	case 0:
		_, err = g.maintenances.List(ctx, service.Filters{Statuses: []service.Status{m.Status}})
	case 1:
		_, err = g.maintenances.BySystems(ctx, m.SystemIDs)
	case 2, 3:
		_, err = g.maintenances.BySystem(ctx, m.SystemIDs[0])
	default:
		_, err = g.maintenances.Get(ctx, m.ID)
	}
	if errors.Is(err, service.ErrNotFound) {
		return nil // deleted meanwhile
	}
	return err
}

// run runs reader n times at the same time, calls begin when all are ready to
// read, and returns what they measured.
func (g *Generator) run(
	ctx context.Context, n int, reader func(ctx context.Context, i int, read func(func() error)), begin func(),
) Report {
	ctx, queries := database.CountQueries(ctx)
	took := make([][]time.Duration, n)
	var failed atomic.Int64
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			reader(ctx, i, func(f func() error) {
				began := time.Now()
				if f() != nil {
					failed.Add(1)
				}
				took[i] = append(took[i], time.Since(began))
			})
		})
	}
	ready.Wait()
	begin()
	done.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	return Report{
		Readers: n, Reads: int64(len(all)), Failed: failed.Load(), Queries: queries.Load(),
		P50: percentile(all, 50), P99: percentile(all, 99), Longest: percentile(all, 100),
	}
}

// percentile returns the given percentile of sorted durations in milliseconds.
func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*percent/100].Microseconds()) / 1000
}
