package readthrough_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// twoProcesses returns a scope each in two processes that share a server, and
// their networks.
func twoProcesses(t *testing.T, options readthrough.ScopeOptions) (a, b *readthrough.CachedScope, networks [2]*network, server *leaseServer) {
	t.Helper()
	server = newLeaseServer()
	networks = [2]*network{{}, {}}
	var scopes [2]*readthrough.CachedScope
	for i := range scopes {
		cache, err := readthrough.New(&leaseStore{server, networks[i]}, readthrough.Options{
			OnError: func(*readthrough.OpError) {},
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = cache.Close() })
		scopes[i], err = cache.Scope("fleet", options)
		require.NoError(t, err)
	}
	return scopes[0], scopes[1], networks, server
}

// versioned is a source with one value. Each load waits at its gates.
type versioned struct {
	version       atomic.Int64
	loads         atomic.Int64
	before, after chan struct{} // nil: open
}

func (v *versioned) load(ctx context.Context) (int64, error) {
	v.loads.Add(1)
	pass := func(gate chan struct{}) {
		if gate != nil {
			select {
			case <-gate:
			case <-ctx.Done():
			}
		}
	}
	pass(v.before)
	version := v.version.Load()
	pass(v.after)
	return version, ctx.Err()
}

type answer struct {
	version int64
	err     error
}

func readLater(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int64, error)) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		version, err := readthrough.Wrap(ctx, s, "k", load)
		answers <- answer{version, err}
	}()
	return answers
}

func readNow(t *testing.T, s *readthrough.CachedScope, load func(context.Context) (int64, error)) int64 {
	t.Helper()
	version, err := readthrough.Wrap(t.Context(), s, "k", load)
	require.NoError(t, err)
	return version
}

// While one process loads, the others wait for it instead of loading too, and
// take what it stored.
func TestOneLoadAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		source := versioned{after: make(chan struct{})}
		inA, inB := readLater(t.Context(), a, source.load), readLater(t.Context(), b, source.load)
		time.Sleep(50 * time.Millisecond)
		close(source.after)
		for _, reader := range []<-chan answer{inA, inB} {
			require.NoError(t, (<-reader).err)
		}
		assert.Equal(t, int64(1), source.loads.Load(), "loads")
	})
}

// A process that waits for another's lease does so for LeaseWait and no longer,
// and then serves what it loads without storing it.
func TestLeaseWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, _, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		key := provider.Key{Scope: "fleet", Name: "k"}
		holder := &leaseStore{server, &network{}}
		grants, err := holder.Acquire(t.Context(), []provider.Key{key}, time.Minute)
		require.NoError(t, err)
		require.Equal(t, provider.LeaseGranted, grants[0].State)
		source := versioned{}
		began := time.Now()
		readNow(t, b, source.load)
		assert.Equal(t, 200*time.Millisecond, time.Since(began), "the read took")
		_, stored := server.peek(key)
		assert.False(t, stored, "stored without the lease")
		filled, err := holder.Fill(t.Context(), []provider.Fill{{Lease: grants[0].Lease, TTL: time.Hour}})
		if assert.NoError(t, err, "the holder cannot fill") {
			assert.True(t, filled[0].Stored, "the holder cannot fill: %+v", filled)
		}
	})
}

// A load that fails, panics or is abandoned gives its lease back: the next reader
// in another process does not wait.
func TestFailedLoadReleasesTheLease(t *testing.T) {
	loads := map[string]func(context.Context) (int64, error){
		"error": func(context.Context) (int64, error) { return 0, errStore },
		"panic": func(context.Context) (int64, error) { panic("loader") },
		"abandoned": func(ctx context.Context) (int64, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		},
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				require.Error(t, (<-readLater(ctx, a, load)).err)
				synctest.Wait()
				began := time.Now()
				readNow(t, b, (&versioned{}).load)
				assert.Zero(t, time.Since(began), "the next reader waited for a lease that nobody has")
			})
		})
	}
}

// Hold closes the gap between the write and the invalidation for readers in other
// processes, whatever happens to the writer in it.
func TestHoldSurvivesTheWriter(t *testing.T) {
	for name, hold := range map[string]bool{"with Hold": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, networks, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
				var source versioned
				source.version.Store(1)
				readNow(t, b, source.load)
				mutation := readthrough.Mutation[int64]{
					Write: func(context.Context) (int64, error) {
						// B reads past the store
						if hold {
							assert.Equal(t, int64(1), readNow(t, b, source.load), "B sees the write before it happened")
						}
						networks[0].cut.Store(true)
						return source.version.Add(1), nil
					},
					Invalidate:      func(int64) readthrough.Targets { return readthrough.Targets{Keys: []string{"k"}} },
					FailWhenPending: true,
				}
				if hold {
					mutation.Hold = readthrough.Targets{Keys: []string{"k"}}
				}
				_, err := readthrough.Mutate(t.Context(), a, mutation)
				require.ErrorIs(t, err, readthrough.ErrInvalidationPending, "Mutate")
				assert.Equal(t, int64(2), readNow(t, a, source.load), "the version that A reads")
				got := readNow(t, b, source.load)
				assert.Equal(t, hold, got == 2, "B reads version %d", got)
				networks[0].cut.Store(false)
				time.Sleep(time.Minute)
				assert.Equal(t, int64(2), readNow(t, b, source.load), "the version that B reads after the heal")
				loads := source.loads.Load()
				readNow(t, a, source.load)
				assert.Equal(t, loads, source.loads.Load(), "the key is still held")
			})
		})
	}
}

// Without the hold nothing is written.
func TestMutateDoesNotWriteWhatItCannotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, networks, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		networks[0].cut.Store(true)
		_, err := readthrough.Mutate(t.Context(), a, readthrough.Mutation[int64]{
			Write:      func(context.Context) (int64, error) { t.Error("written"); return 0, nil },
			Invalidate: func(int64) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Prefixes: []string{"list:"}},
		})
		assert.ErrorIs(t, err, readthrough.ErrNotHeld, "Mutate")
	})
}

// A write that fails leaves nothing held and nothing invalidated but what the
// hold removed.
func TestFailedWriteGivesUpTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		var source versioned
		_, err := readthrough.Mutate(t.Context(), a, readthrough.Mutation[int64]{
			Write: func(ctx context.Context) (int64, error) {
				<-ctx.Done() // after HoldFor
				return 0, ctx.Err()
			},
			Invalidate: func(int64) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Keys: []string{"k"}}, HoldFor: time.Second,
		})
		require.ErrorIs(t, err, context.DeadlineExceeded, "Mutate")
		readNow(t, b, source.load)
		readNow(t, b, source.load)
		assert.Equal(t, int64(1), source.loads.Load(), "loads: the key is still held")
	})
}

// An invalidation that is pending forbids the fill of a load that was under way,
// although its lease may still be there.
func TestPendingKeyIsNotFilledUnderALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, networks, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		source := versioned{after: make(chan struct{})}
		source.version.Store(1)
		reader := readLater(t.Context(), a, source.load)
		synctest.Wait() // it has the lease, and version 1
		source.version.Store(2)
		networks[0].cut.Store(true)
		require.ErrorIs(t, a.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending, "Invalidate")
		networks[0].cut.Store(false) // before the retry
		close(source.after)
		require.NoError(t, (<-reader).err)
		entry, stored := server.peek(provider.Key{Scope: "fleet", Name: "k"})
		assert.False(t, stored, "version %v is stored", entry.Value)
	})
}

// A lease whose reply comes after the deadline is given back: nobody would fill
// it, and others would wait for it.
func TestLeaseGrantedTooLateIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, networks, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		networks[0].slowReplies.Store(int64(60 * time.Millisecond)) // ProviderTimeout is 50 ms
		readNow(t, a, (&versioned{}).load)
		time.Sleep(time.Second)
		other := &leaseStore{server, &network{}}
		grants, err := other.Acquire(t.Context(), []provider.Key{{Scope: "fleet", Name: "k"}}, time.Minute)
		if assert.NoError(t, err, "it gets the lease") {
			assert.Equal(t, provider.LeaseGranted, grants[0].State, "it gets the lease")
		}
	})
}
