// Package worker plays the world around the dashboard: satellites that measure, a queue of check runs, the detector of
// anomalies, and users. Together, its actions are all mutations of all backends.
package worker

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// Stats are the numbers of a worker.
type Stats struct {
	Rate    float64 `json:"rate"`
	Actions int64   `json:"actions"`
	Refused int64   `json:"refused"` // by a rule, or because what they change was deleted meanwhile
	Failed  int64   `json:"failed"`
	// Last is the last error that was no refusal.
	Last string `json:"last,omitempty"`
}

// Worker plays the world. It is safe for concurrent use.
type Worker struct {
	b       *backends.All
	total   int // of all weights
	actions []action
	rate    atomic.Int64 // in thousandths of actions a second

	mu    sync.Mutex // guards following
	rng   *rand.Rand
	stats Stats
}

// New returns a worker that begins with rate actions a second. seed decides which.
func New(b *backends.All, rate float64, seed uint64) *Worker {
	w := &Worker{b: b, rng: rand.New(rand.NewPCG(seed, 1))}
	w.SetRate(rate)
	w.actions = w.all()
	for _, a := range w.actions {
		w.total += a.weight
	}
	return w
}

// MaxRate is the highest rate, in actions a second.
const MaxRate = 1000

// SetRate changes the rate; 0: the worker rests.
func (w *Worker) SetRate(rate float64) { w.rate.Store(int64(1000 * max(0, min(rate, MaxRate)))) }

// Stats returns the numbers so far.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	stats := w.stats
	stats.Rate = float64(w.rate.Load()) / 1000
	return stats
}

// idle is how often a worker that rests looks for another rate.
const idle = 100 * time.Millisecond

// Run plays until ctx ends. It is late, and not faster, if actions take longer than the rate permits.
func (w *Worker) Run(ctx context.Context) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := idle
		if rate := w.rate.Load(); rate > 0 {
			interval := time.Duration(float64(time.Second) * 1000 / float64(rate))
			if now := time.Now(); !now.Before(next) {
				_, _ = w.Step(ctx) //nolint:errcheck // Stats has it
				next = next.Add(interval)
			}
			now := time.Now()
			next = now.Add(max(0, min(next.Sub(now), interval))) // the rate may have changed
			wait = min(next.Sub(now), idle)
		}
		timer.Reset(wait)
	}
}

// Step plays one action, and returns its name.
func (w *Worker) Step(ctx context.Context) (name string, err error) {
	w.mu.Lock()
	n := w.rng.IntN(w.total)
	w.mu.Unlock()
	for _, a := range w.actions {
		if n -= a.weight; n < 0 {
			return a.name, w.play(ctx, a)
		}
	}
	return "", nil
}

// Names returns the names of all actions.
func (w *Worker) Names() []string {
	names := make([]string, len(w.actions))
	for i, a := range w.actions {
		names[i] = a.name
	}
	return names
}

// Play plays the action of that name.
func (w *Worker) Play(ctx context.Context, name string) error {
	for _, a := range w.actions {
		if a.name == name {
			return w.play(ctx, a)
		}
	}
	return errors.New("worker: there is no action " + name)
}

func (w *Worker) play(ctx context.Context, a action) error {
	err := a.do(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Actions++
	switch {
	case err == nil:
	case refused(err):
		w.stats.Refused++
	case ctx.Err() == nil:
		w.stats.Failed++
		w.stats.Last = a.name + ": " + err.Error()
	}
	return err
}

// refused reports whether nothing was changed because the world is as it is.
func refused(err error) bool {
	var conflict *service.ConflictError
	var invalid *service.InvalidError
	return errors.Is(err, readthrough.ErrUnchanged) && (errors.As(err, &conflict) || errors.As(err, &invalid) || errors.Is(err, errNothing) || notFound(err))
}

// errNothing is the error of an action that finds nothing to change.
var errNothing = errors.New("worker: there is nothing to change")

// pickID returns one of the latest ids of a table, or errNothing.
func (w *Worker) pickID(ctx context.Context, table, where string) (id int64, err error) {
	var all []int64
	err = database.Each(ctx, w.b.DB, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		all = append(all, id)
		return err
	}, `SELECT id FROM `+table+` WHERE `+where+` ORDER BY id DESC LIMIT 20`)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, database.Unchanged(errNothing)
	}
	return all[w.intn(len(all))], nil
}

func (w *Worker) intn(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}
