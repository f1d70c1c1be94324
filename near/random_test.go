package near_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/near"
)

var (
	seedFlag = flag.Int64("near.seed", 0, "seed of TestRandomFleet; 0: a new one")
	runsFlag = flag.Int("near.runs", 10, "runs of TestRandomFleet in each mode")
)

// random is a run of a fleet with random operations and faults. The source has a version for each key, and
// returned is the version that the last invalidation that returned nil has announced.
type random struct {
	t       *testing.T
	options near.Options
	server  *neartest.Server
	all     []*process

	mu       sync.Mutex // guards following
	rng      *rand.Rand
	source   map[string]int64
	returned map[string][]announced
	reads    int
}

type announced struct {
	version int64
	at      time.Time
}

const randomKeys = 4

func newRandom(t *testing.T, seed int64, options near.Options) *random {
	t.Helper()
	r := &random{
		t: t, options: options, server: neartest.NewServer(), rng: rand.New(rand.NewPCG(uint64(seed), 1)),
		source: make(map[string]int64), returned: make(map[string][]announced),
	}
	r.all = fleet(t, r.server, 3, options)
	return r
}

func (r *random) n(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rng.IntN(n)
}

func (r *random) key() string { return fmt.Sprint("k:", r.n(randomKeys)) }

func (r *random) run() {
	for _, p := range r.all {
		slow := func(context.Context, string) error {
			if d := r.n(40); d < 10 {
				time.Sleep(time.Duration(d) * time.Millisecond / 2)
			}
			return nil
		}
		p.far.On(neartest.Sent, slow)
		p.far.On(neartest.Executed, slow)
	}
	r.server.OnMessage(r.message)
	var done sync.WaitGroup
	for _, p := range r.all {
		for range 3 {
			done.Go(func() {
				for range 60 {
					r.readOne(p)
					time.Sleep(time.Duration(r.n(20)) * time.Millisecond)
				}
			})
		}
		done.Go(func() {
			for range 25 {
				r.writeOne(p)
				time.Sleep(time.Duration(r.n(40)) * time.Millisecond)
			}
		})
	}
	done.Go(r.fail)
	done.Wait()
	assert.NotZero(r.t, r.reads)
	for _, p := range r.all {
		p.far.On(neartest.Sent, nil)
		p.far.On(neartest.Executed, nil)
	}
}

// message loses, repeats and delays messages.
func (r *random) message(_ *neartest.Store, m membership.Message) []membership.Message {
	switch r.n(40) {
	case 0:
		return nil
	case 1:
		return []membership.Message{m, m}
	case 2:
		time.Sleep(time.Duration(r.n(100)) * time.Millisecond)
	}
	return []membership.Message{m}
}

// fail cuts connections, and restarts the server.
func (r *random) fail() {
	for range 12 {
		time.Sleep(time.Duration(r.n(200)) * time.Millisecond)
		p := r.all[r.n(len(r.all))]
		switch r.n(6) {
		case 0:
			p.far.CutSubscription.Store(true)
		case 1:
			p.far.CutData.Store(true)
		case 2:
			p.far.CutData.Store(true)
			p.far.CutSubscription.Store(true)
		case 3:
			r.server.Restart(r.n(2) == 0)
		default:
		}
		time.Sleep(time.Duration(r.n(1000)) * time.Millisecond)
		p.far.CutData.Store(false)
		p.far.CutSubscription.Store(false)
	}
}

func (r *random) load(key string) *box {
	r.mu.Lock()
	v := r.source[key]
	r.mu.Unlock()
	time.Sleep(time.Duration(r.n(3)) * time.Millisecond)
	return &box{v}
}

func (r *random) readOne(p *process) {
	k, began := r.key(), time.Now()
	if !r.options.Strict {
		began = began.Add(-near.DefaultWindow - 1) // what was announced later may be missed
	}
	wanted := int64(0)
	r.mu.Lock()
	for _, a := range r.returned[k] {
		if !a.at.After(began) {
			wanted = max(wanted, a.version)
		}
	}
	r.reads++
	r.mu.Unlock()
	result, err := readthrough.WrapResult(context.Background(), p.scope, k, func(context.Context) (*box, error) { return r.load(k), nil })
	if !assert.NoError(r.t, err) {
		return
	}
	assert.GreaterOrEqual(r.t, result.Value.N, wanted, "%s from %v", k, result.Source)
}

// writeOne changes a key and invalidates it, alone or by its prefix. A pending invalidation announces nothing
// to other processes.
func (r *random) writeOne(p *process) {
	k := r.key()
	r.mu.Lock()
	r.source[k]++
	v := r.source[k]
	r.mu.Unlock()
	var err error
	if r.n(3) == 0 {
		_, err = p.scope.InvalidatePrefix(context.Background(), k)
	} else {
		err = p.scope.Invalidate(context.Background(), k)
	}
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.returned[k] = append(r.returned[k], announced{v, time.Now()})
}
