package redisprovider

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

const (
	// gatherAbove is the number of round trips at the same time from which on
	// single reads are gathered. A smaller number makes batches larger and
	// cheaper, but a read waits longer for its turn: up to 1/gatherAbove of a
	// round trip, half of that on average.
	gatherAbove = 4

	// gatherMost is the most reads that one round trip gathers.
	gatherMost = 128

	// A batch waits for at most patienceTrips recent round trips, and leastPatience:
	// the round trips under way may never return, and a read waits only for what is
	// likely to come.
	patienceTrips = 2
	leastPatience = time.Millisecond
	firstPatience = 10 * time.Millisecond // while no round trip has returned
	recentTrips   = 16                    // that patience looks at

	// gatherFlying is the most round trips at the same time. While so many are under
	// way, a batch waits until one returns or it is full: a server that answers
	// nothing would otherwise get more and more connections.
	gatherFlying = 32
)

// gather sends single reads together if other reads are under way. A batch is sent
// when one of the round trips under way returns, with all reads that have come
// until then, or when it is full, or when it has waited for about as long as a round
// trip takes. A single reader never waits. Many readers share the cost of a round
// trip, which is most of the cost of a read.
//
// Invariants:
//
//   - A read is sent after its caller asked for it, so it finds what the store had
//     after the caller began. Nobody joins a batch that was sent.
//   - A batch waits for no round trip that takes much longer than the others did,
//     unless gatherFlying are under way.
type gather struct {
	fetch    func(ctx context.Context, names []string) []provider.Result
	fetchOne func(ctx context.Context, name string) provider.Result

	mu     sync.Mutex // guards following
	flying int        // round trips under way
	next   *gathered  // the batch that waits; nil: none
	trips  tripTimes
}

// tripTimes has the times that the latest round trips took which the server has
// answered. A median of few is cheap, and does not see the few that were slow.
type tripTimes struct {
	latest [recentTrips]time.Duration
	n      int // how many were added
}

func (t *tripTimes) add(took time.Duration) {
	t.latest[t.n%recentTrips] = took
	t.n++
}

// patience returns how long a batch waits.
func (t *tripTimes) patience() time.Duration {
	if t.n == 0 {
		return firstPatience
	}
	sorted := t.latest
	known := sorted[:min(t.n, recentTrips)]
	slices.Sort(known)
	return max(leastPatience, patienceTrips*known[len(known)/2])
}

// gathered is a batch of reads. It waits in gather.next, then it is sent, then it
// is done. Its fields except results are written under gather.mu, until it is
// sent.
type gathered struct {
	// ctx has the values of the first reader's context, but neither its
	// cancellation nor its deadline.
	ctx     context.Context //nolint:containedctx // of a call that is made later
	names   []string        // the Redis keys
	patient bool            // some reader has no deadline, so the batch has none
	until   time.Time       // the latest deadline of the readers
	timer   *time.Timer     // sends the batch when it has waited long enough

	results []provider.Result // written by fly before it closes done, read after that
	done    chan struct{}
}

// get reads the key called name, alone or in a batch.
func (g *gather) get(ctx context.Context, name string) provider.Result {
	g.mu.Lock()
	if g.flying < gatherAbove {
		g.flying++
		g.mu.Unlock()
		began, answered := time.Now(), false
		defer func() { g.landed(began, answered) }()
		result := g.fetchOne(ctx, name)
		answered = result.Err == nil
		return result
	}
	b, i := g.joinLocked(ctx, name)
	g.mu.Unlock()
	return b.wait(ctx, name, i)
}

// wait waits for read i of the batch, whose key is called name. An answer that is
// there wins over a context that has ended.
func (b *gathered) wait(ctx context.Context, name string, i int) provider.Result {
	select {
	case <-b.done:
		return b.results[i]
	case <-ctx.Done():
	}
	select {
	case <-b.done:
		return b.results[i]
	default:
		return provider.Result{Err: failed("get", name, ctx.Err())}
	}
}

// joinLocked adds a read to the batch that waits. It returns the batch and the
// read's index in it. A full batch is sent at once.
func (g *gather) joinLocked(ctx context.Context, name string) (b *gathered, i int) {
	if g.next == nil {
		b := &gathered{ctx: context.WithoutCancel(ctx), done: make(chan struct{})}
		b.timer = time.AfterFunc(g.trips.patience(), func() { g.sendLate(b) })
		g.next = b
	}
	b, i = g.next, len(g.next.names)
	b.names = append(b.names, name)
	if deadline, ok := ctx.Deadline(); !ok {
		b.patient = true
	} else if deadline.After(b.until) {
		b.until = deadline
	}
	if len(b.names) == gatherMost {
		g.flying++
		g.sendLocked()
	}
	return b, i
}

// sendLocked sends the batch that waits.
func (g *gather) sendLocked() {
	b := g.next
	g.next = nil
	b.timer.Stop()
	go g.fly(b)
}

// sendLate sends b, if it still waits.
func (g *gather) sendLate(b *gathered) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == b && g.flying < gatherFlying {
		g.flying++
		g.sendLocked()
	}
}

// landed ends a round trip that began at began. If a batch waits, landed sends it.
func (g *gather) landed(began time.Time, answered bool) {
	took := time.Since(began)
	g.mu.Lock()
	defer g.mu.Unlock()
	if answered {
		g.trips.add(took)
	}
	if g.next != nil {
		g.sendLocked()
		return
	}
	g.flying--
}

// fly sends a batch. If a hook of the client panics or ends this goroutine, the
// readers of the batch get an error.
func (g *gather) fly(b *gathered) {
	began, answered := time.Now(), false
	defer func() { g.landed(began, answered) }()
	defer close(b.done)
	defer func() {
		if err := clientFailure(recover()); len(b.results) != len(b.names) {
			b.results = failedResults(b.names, err)
		}
	}()
	ctx := b.ctx
	if !b.patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, b.until)
		defer cancel()
	}
	b.results = g.fetch(ctx, b.names)
	answered = len(b.results) > 0 && b.results[0].Err == nil
}
