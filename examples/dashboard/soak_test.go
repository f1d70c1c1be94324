package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/examples/dashboard/internal/client"
	"github.com/readthrough/readthrough/internal/redistest"
)

var (
	soakFor  = flag.Duration("dashboard.soak", time.Second, "how long TestSoak runs, with each kind of store")
	soakSeed = flag.Uint64("dashboard.seed", rand.Uint64(), "seed of TestSoak")
)

// Three processes on one Redis and one database. Clients play all mutations at all of them, and read everything from all of
// them, while the network between the processes and Redis fails. No read is stale: not of what the page reads, and not of
// what it does not.
//
// A mutation has returned when its invalidation has. So what a client has changed must be read by everybody from then on; or
// by its own process only, if the store had not confirmed by then.
func TestSoak(t *testing.T) {
	redistest.Require(t)
	t.Logf("seed %d", *soakSeed)
	for _, near := range []string{"", "strict"} {
		t.Run("near "+near, func(t *testing.T) { soak(t, near) })
	}
}

func soak(t *testing.T, near string) {
	server := redistest.Start(t, redistest.Options{})
	file := filepath.Join(t.TempDir(), "dashboard.db")
	s := &soaking{history: cachetest.NewHistory(cachetest.Options{})}
	s.recorder = cachetest.NewRecorder(s.history, func(version int64) int64 { return version })
	var proxies []*redistest.Proxy
	for i := range 3 {
		proxy := redistest.NewProxy(t, server.Addr())
		proxies = append(proxies, proxy)
		args := []string{
			"-db", file, "-redis", "redis://" + proxy.Addr(), "-rate", "0", "-sample", "0",
			"-seed", fmt.Sprint(*soakSeed + uint64(i)), "-store-timeout", "250ms",
		}
		if near != "" {
			args = append(args, "-near", near)
		}
		s.processes = append(s.processes, client.Client{URL: startChild(t, args...)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor)
	defer cancel()
	var running sync.WaitGroup
	for i := range 3 {
		running.Go(func() { s.clientLoop(ctx, t, i, s.change) })
		running.Go(func() { s.clientLoop(ctx, t, i, s.read) })
		running.Go(func() { s.clientLoop(ctx, t, i, s.readSingles) })
	}
	if *soakFor >= 10*time.Second { // a short run has no time for faults
		running.Go(func() { faults(ctx, proxies) })
	}
	running.Wait()
	report := s.history.Verify(t)
	t.Logf("soak, near %q: %d reads, %d mutations, %d of them pending, %d reads that could have been stale, %d stale",
		near, report.Reads, s.mutations.Load(), s.pending.Load(), report.Bound, report.Violations)
	require.NotZero(t, report.Bound, "nothing was proven")
}

// soaking is what the clients share.
type soaking struct {
	processes []client.Client
	history   *cachetest.History
	recorder  *cachetest.Recorder[int64]

	mutations, pending atomic.Int64
}

// clientLoop lets a client of a process do something again and again.
func (s *soaking) clientLoop(ctx context.Context, t *testing.T, process int, do func(ctx context.Context, process int, rng *rand.Rand) error) {
	rng := rand.New(rand.NewPCG(*soakSeed, uint64(process)))
	for n := 0; n < leastTimes || ctx.Err() == nil; n++ {
		// A call that has begun is finished, so that it is known what it has done.
		if err := do(context.WithoutCancel(ctx), process, rng); err != nil {
			t.Errorf("process %d: %v", process, err)
			return
		}
	}
}

// leastTimes is how often a client does what it does, also if the time is over: only a read that begins after
// a change proves something, and on a slow machine one read of everything takes longer than a short run.
const leastTimes = 3

func name(process int) string { return fmt.Sprintf("process %d", process) }

// change plays an action, and records what it has written, and then that it was invalidated.
func (s *soaking) change(ctx context.Context, process int, _ *rand.Rand) error {
	at := s.recorder.At(name(process))
	var played client.Played
	err := at.WriteMany(func() (versions map[string]int64, err error) {
		played, err = s.processes[process].Play(ctx, "")
		if err == nil && played.Error != "" { // a failed change: nobody knows what it has done
			return nil, errors.New(played.Error)
		}
		return played.Versions, err
	})
	if err != nil {
		return ignorePlayed(err, played)
	}
	s.mutations.Add(1)
	var keys []string
	for key := range played.Versions {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	err = s.history.At(name(process)).InvalidateTargets(keys, nil, func() error {
		if played.Pending > 0 {
			s.pending.Add(1)
			return readthrough.ErrInvalidationPending
		}
		return nil
	})
	if played.Pending > 0 {
		return nil
	}
	return err
}

// ignorePlayed returns nil for the error of an action. A failed action is recorded as such, and the soak goes on.
func ignorePlayed(err error, played client.Played) error {
	if played.Error != "" {
		return nil
	}
	return err
}

func (s *soaking) read(ctx context.Context, process int, rng *rand.Rand) error {
	user := []string{"lin", "mara", "tomas"}[rng.IntN(3)]
	return s.record(process, func() (map[string]int64, error) {
		d, err := s.processes[process].Refresh(ctx, user, true)
		return d.Versions, err
	})
}

func (s *soaking) readSingles(ctx context.Context, process int, rng *rand.Rand) error {
	system := []string{"api", "mail", "dns", "auth"}[rng.IntN(4)]
	return s.record(process, func() (map[string]int64, error) { return s.processes[process].Singles(ctx, "lin", system) })
}

// record records a call that reads many names.
func (s *soaking) record(process int, call func() (map[string]int64, error)) error {
	_, err := s.recorder.At(name(process)).ReadMany(nil, call)
	return err
}

// faults breaks the way of one process to Redis after the other, in different ways, with rests.
func faults(ctx context.Context, proxies []*redistest.Proxy) {
	rng := rand.New(rand.NewPCG(*soakSeed, 99))
	for ctx.Err() == nil {
		proxy := proxies[rng.IntN(len(proxies))]
		switch rng.IntN(4) {
		case 0:
			proxy.CutAll()
		case 1:
			proxy.Refuse(true)
			proxy.CutAll()
		case 2:
			proxy.Hold(redistest.Direction(rng.IntN(2)))
		case 3:
			proxy.Delay(redistest.Direction(rng.IntN(2)), 30*time.Millisecond)
		}
		pause(ctx, time.Duration(100+rng.IntN(900))*time.Millisecond)
		proxy.Refuse(false)
		for _, d := range []redistest.Direction{redistest.ToServer, redistest.ToClient} {
			proxy.Release(d)
			proxy.Delay(d, 0)
		}
		pause(ctx, time.Duration(rng.IntN(1500))*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
