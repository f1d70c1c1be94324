package redisprovider

import (
	"context"
	"fmt"
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
)

// gather sends single reads together if other reads are under way. A batch is sent
// when one of the round trips under way returns, with all reads that have come
// until then, or when it is full. A single reader never waits. Many readers share
// the cost of a round trip, which is most of the cost of a read.
//
// Invariant: a read is sent after its caller asked for it, so it finds what the
// store had after the caller began. Nobody joins a batch that was sent.
type gather struct {
	fetch    func(ctx context.Context, names []string) []provider.Result
	fetchOne func(ctx context.Context, name string) provider.Result

	mu     sync.Mutex // guards following
	flying int        // round trips under way
	next   *gathered  // the batch that waits; nil: none
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

	results []provider.Result // written by fly before it closes done, read after that
	done    chan struct{}
}

// get reads the key called name, alone or in a batch.
func (g *gather) get(ctx context.Context, name string) provider.Result {
	g.mu.Lock()
	if g.flying < gatherAbove {
		g.flying++
		g.mu.Unlock()
		defer g.landed()
		return g.fetchOne(ctx, name)
	}
	b, i := g.joinLocked(ctx, name)
	g.mu.Unlock()
	select {
	case <-b.done:
		return b.results[i]
	case <-ctx.Done():
		return provider.Result{Err: failed("get", name, ctx.Err())}
	}
}

// joinLocked adds a read to the batch that waits. It returns the batch and the
// read's index in it. A full batch is sent at once.
func (g *gather) joinLocked(ctx context.Context, name string) (b *gathered, i int) {
	if g.next == nil {
		g.next = &gathered{ctx: context.WithoutCancel(ctx), done: make(chan struct{})}
	}
	b, i = g.next, len(g.next.names)
	b.names = append(b.names, name)
	if deadline, ok := ctx.Deadline(); !ok {
		b.patient = true
	} else if deadline.After(b.until) {
		b.until = deadline
	}
	if len(b.names) == gatherMost {
		g.next = nil
		g.flying++
		go g.fly(b)
	}
	return b, i
}

// landed ends a round trip. If a batch waits, landed sends it.
func (g *gather) landed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.next; b != nil {
		g.next = nil
		go g.fly(b)
		return
	}
	g.flying--
}

// fly sends a batch. If a hook of the client panics, the readers of the batch get
// an error: this goroutine has no caller, so the panic would end the process.
func (g *gather) fly(b *gathered) {
	defer g.landed()
	defer close(b.done)
	defer func() {
		if r := recover(); r != nil {
			b.results = failedResults(b.names, fmt.Errorf("the client panicked: %v", r))
		}
	}()
	ctx := b.ctx
	if !b.patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, b.until)
		defer cancel()
	}
	b.results = g.fetch(ctx, b.names)
}
