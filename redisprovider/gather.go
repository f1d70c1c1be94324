package redisprovider

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

const (
	// gatherAbove is how many single reads go each their own way at the same time;
	// those above are gathered. Fewer make larger batches, which cost less, and
	// let a read wait longer for its turn: up to the part 1/gatherAbove of a round
	// trip, on average half of that.
	gatherAbove = 4

	// gatherMost is how many reads are gathered in one round trip at the most.
	gatherMost = 128
)

// gather sends single reads that come while others are under way together: one
// round trip for all that have come by the time when one of those under way
// returns. Who is alone never waits, and where many read at once, they share the
// cost of a round trip, which is most of that of a read.
//
// That keeps what a read owes its caller: it is sent after it was asked for. So
// what it finds was there after the caller began.
type gather struct {
	fetch    func(ctx context.Context, names []string) []provider.Result
	fetchOne func(ctx context.Context, name string) provider.Result

	mu     sync.Mutex // guards following
	flying int        // round trips under way
	next   *gathered  // the reads that wait; nil: none
}

// gathered are reads that go together.
type gathered struct {
	// ctx has the values of the first reader's context, and neither its
	// cancellation nor its deadline.
	ctx     context.Context //nolint:containedctx // of a call that is made later
	names   []string        // guarded by gather.mu until the batch is sent
	patient bool            // some reader has no deadline
	until   time.Time       // the latest deadline, unless patient

	results []provider.Result // written before done is closed
	done    chan struct{}
}

// get reads the key that is called name, alone or with others.
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

// joinLocked adds a read to those that wait. It returns its batch, and its place
// there. A batch that is full goes at once.
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

// landed ends a round trip, and begins that of the reads that wait.
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

// fly sends a batch. Its readers get an answer even if a hook of the client
// panics, which would end the process here, where there is no caller.
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
