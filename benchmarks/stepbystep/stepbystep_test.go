// Package stepbystep_test lets a service of three processes live through twenty minutes, in which its database does
// not answer for ten, once for each option that docs/step-by-step.md switches on. The library is the real one, the time
// is that of a bubble of testing/synctest, and Redis is the twin in the process that the tests of near caches use.
//
//	go test ./stepbystep -write
//
// brings the table and the plots into the page. Without -write, the test fails if the page has others.
package stepbystep_test

import (
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/neartest"
)

var (
	write = flag.Bool("write", false, "write the table and the plots into docs/step-by-step.md and docs/plots")
	seed  = flag.Uint64("seed", documented, "the seed of the reads and of the queries")
)

const documented = 1

// The stores of the steps.
const (
	none = iota
	inMemory
	inRedis
	inNear
)

// step is a configuration of the service.
type step struct {
	file, name string
	store      int
	options    readthrough.ScopeOptions
}

func steps() []step {
	stale := readthrough.ScopeOptions{StaleIfError: time.Hour}
	soft := stale
	soft.SoftLoadTimeout = 100 * time.Millisecond
	ahead := soft
	ahead.RefreshAheadFactor = 0.8
	rarely := ahead
	rarely.RetryAfter = 10 * time.Second
	return []step{
		{file: "step-0", name: "no cache"},
		{file: "step-1", name: "a cache in memory, TTL 1 min", store: inMemory},
		{file: "step-2", name: "+ StaleIfError 1 h", store: inMemory, options: stale},
		{file: "step-3", name: "+ SoftLoadTimeout 100 ms", store: inMemory, options: soft},
		{file: "step-4", name: "+ RefreshAheadFactor 0.8", store: inMemory, options: ahead},
		{file: "step-5", name: "Redis in place of memory", store: inRedis, options: ahead},
		{file: "step-6", name: "+ RetryAfter 10 s", store: inRedis, options: rarely},
		{file: "step-7", name: "+ a strict near cache", store: inNear, options: rarely},
	}
}

// bin is a point of a plot.
const bin = 10 * time.Second

// counts are what happened in a bin, or in all of them.
type counts struct {
	reads, queries, failed, waited, long, stale, old, requests int
}

// life is what a step came to.
type life struct {
	step

	bins   []counts
	total  counts
	during counts // the outage
	worst  time.Duration
}

// arrival is a read of a product by a process.
type arrival struct {
	at      time.Duration
	process int
	id      int64
}

// arrivals returns the reads. They come at even nanoseconds and queries end at odd ones, so no two of them meet.
func arrivals(random *rand.Rand) (reads []arrival) {
	zipf := rand.NewZipf(random, 1.2, 4, products-1)
	for at := time.Duration(0); ; {
		at += 2 * time.Duration(1+random.ExpFloat64()*float64(time.Second)/rate/2)
		if at >= length {
			return reads
		}
		reads = append(reads, arrival{at, random.IntN(processes), int64(zipf.Uint64())})
	}
}

// event is something else that happens.
type event struct {
	at time.Duration
	do func()
}

// live lets the service of a step live.
func live(t *testing.T, s step) (result life) {
	t.Helper()
	result = life{step: s, bins: make([]counts, length/bin)}
	synctest.Test(t, func(t *testing.T) {
		db, server := &database{began: time.Now()}, neartest.NewServer()
		var running [processes]*process
		for i := range running {
			running[i] = s.start(t, db, server)
		}
		var events []event
		for i := range running {
			events = append(events, event{deploy + time.Duration(i)*apart, func() {
				running[i].stop(t)
				running[i] = s.start(t, db, server)
			}})
		}
		for n := range int(length / changes) {
			if at := time.Duration(n)*changes + changes/2; at < down || at > up {
				events = append(events, event{at, func() { assert.NoError(t, running[n%processes].change(t.Context(), int64(n%10))) }})
			}
		}
		slices.SortFunc(events, func(a, b event) int { return int(a.at - b.at) })
		var group sync.WaitGroup
		var mu sync.Mutex // guards result
		for _, a := range arrivals(rand.New(rand.NewPCG(*seed, 2))) {
			for ; len(events) > 0 && events[0].at <= a.at; events = events[1:] {
				time.Sleep(events[0].at - db.at())
				events[0].do()
			}
			time.Sleep(a.at - db.at())
			p, must := running[a.process], db.seen(a.id)
			group.Go(func() {
				got, err := p.read(t.Context(), a.id)
				mu.Lock()
				defer mu.Unlock()
				result.note(a, time.Since(db.began)-a.at, got, err, must)
			})
		}
		group.Wait()
		for _, p := range running {
			p.stop(t)
		}
		for i := range result.bins {
			result.bins[i].queries, result.bins[i].requests = int(db.queries[i].Load()), int(db.requests[i].Load())
			result.add(time.Duration(i)*bin, result.bins[i])
		}
	})
	return result
}

// note counts a read that took so long, and had to see a version.
func (l *life) note(a arrival, took time.Duration, got product, err error, must int64) {
	b := &l.bins[a.at/bin]
	b.reads++
	l.worst = max(l.worst, took)
	if took > short {
		b.waited++
	}
	if took > long {
		b.long++
	}
	if err != nil {
		b.failed++
		return
	}
	if time.Since(got.LoadedAt) > ttl {
		b.stale++
	}
	if got.Version < must {
		b.old++
	}
}

// add adds a bin that begins at a time to the sums.
func (l *life) add(at time.Duration, b counts) {
	for _, sum := range []*counts{&l.total, &l.during} {
		if sum == &l.during && (at < down || at >= up) {
			continue
		}
		sum.reads += b.reads
		sum.queries += b.queries
		sum.failed += b.failed
		sum.waited += b.waited
		sum.long += b.long
		sum.stale += b.stale
		sum.old += b.old
		sum.requests += b.requests
	}
}

// before returns how many reads of the outage have failed before the deploy.
func (l *life) before() (failed int) {
	for _, b := range l.bins[down/bin : deploy/bin] {
		failed += b.failed
	}
	return failed
}
