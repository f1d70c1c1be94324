package deployments_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

const (
	// busyTimeout is that of a request, by default, and busyFailures is how many failures in a row open a breaker.
	busyTimeout, busyFailures = 50 * time.Millisecond, 5
	// busyFor is how long a busy process is watched, at most.
	busyFor = 20 * time.Second
)

// naive reads a server as a client with a timeout and a breaker does that knows nothing of its own process.
type naive struct {
	reads, timeouts, opens atomic.Int64
	row                    atomic.Int64 // of timeouts
}

func (n *naive) read(ctx context.Context, client *redis.Client, key string) {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	n.reads.Add(1)
	if err := client.Get(ctx, key).Err(); err == nil || ctx.Err() == nil {
		n.row.Store(0)
		return
	}
	n.timeouts.Add(1)
	if n.row.Add(1) == busyFailures {
		n.row.Store(0)
		n.opens.Add(1)
	}
}

// TestBusyProcess: a process burns all its processors, and its server is well. The cache takes that for what it is: its
// breaker opens hardly ever, and nothing is loaded that is stored. A client beside it, which has the same timeout and
// reads the same server at the same time, says how busy the process was.
func TestBusyProcess(t *testing.T) { //nolint:paralleltest // it leaves no processor to others
	onlyAll(t, "a process that is short of processor time", "TestBusyProcess")
	server := redistest.StartReal(t, redistest.Options{})
	newClient := func() *redis.Client {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, PoolSize: 32})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	w := newWorld(t)
	p := w.process(newClient(), redisprovider.Options{}, func(o *readthrough.Options) {
		o.ProviderTimeout, o.BreakerFailures = busyTimeout, busyFailures
	})
	w.run()
	var beside naive
	client := newClient()
	for range readers {
		w.running.Go(func() {
			for w.ctx.Err() == nil {
				beside.read(w.ctx, client, "nothing")
				time.Sleep(pause)
			}
		})
	}
	time.Sleep(time.Second) // the keys are stored
	before := w.total()
	var burning atomic.Bool
	var burners sync.WaitGroup
	burning.Store(true)
	for range 8 * runtime.GOMAXPROCS(0) {
		burners.Go(func() {
			for n := 0; burning.Load(); n++ {
				_ = n
			}
		})
	}
	for began := time.Now(); beside.opens.Load() < 10 && time.Since(began) < busyFor; {
		time.Sleep(slot)
	}
	burning.Store(false)
	burners.Wait()
	w.stop()
	after, state := w.total(), p.cache.StoreState()
	t.Logf("before %v; with it %v; opens %d; the client beside: %d reads, %d timeouts, %d opens",
		before, after, state.Opens, beside.reads.Load(), beside.timeouts.Load(), beside.opens.Load())
	if beside.opens.Load() < 2 {
		proofs.TooLittle(t, "the process was not short of processor time")
	}
	assert.Zero(t, after.stale, "stale reads")
	assert.Less(t, 4*state.Opens, beside.opens.Load(), "how often the breaker was opened")
	assert.Less(t, 4*after.pending, beside.timeouts.Load(), "invalidations that are pending")
}
