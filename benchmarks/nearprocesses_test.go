package benchmarks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// The variables that make this program a process with a near cache: the server, and its mode.
const (
	nearAddr = "BENCHMARKS_NEAR_ADDR"
	nearMode = "BENCHMARKS_NEAR_MODE"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(nearAddr); addr != "" {
		if err := nearProcess(addr, os.Getenv(nearMode) == "strict"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// measuredLease is long: a machine that measures is busy, and nobody shall be waited for but for an acknowledgement.
const measuredLease = 5 * time.Second

// newNear returns a near cache that may answer, and what closes its client.
func newNear(addr string, strict bool) (*near.Store, *redis.Client, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	far, err := redisprovider.New(client, redisprovider.Options{NearLease: measuredLease})
	if err != nil {
		return nil, nil, err
	}
	options := near.Options{Strict: strict}
	if !strict {
		options.Window = measuredLease
	}
	store, err := near.New(far, options)
	if err != nil {
		return nil, nil, err
	}
	for !store.NearStats().Membership.Valid {
		time.Sleep(time.Millisecond)
	}
	return store, client, nil
}

// nearProcess is a process with a near cache, until its input ends.
func nearProcess(addr string, strict bool) error {
	store, client, err := newNear(addr, strict)
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	fmt.Println(store.NearStats().Membership.Messages)
	return store.Close()
}

// startNearProcesses starts n processes with near caches. end ends them, and returns how many messages they have got.
func startNearProcesses(b *testing.B, n int, addr, mode string) (end func() (messages int)) {
	b.Helper()
	program, err := os.Executable()
	require.NoError(b, err)
	var ends []func() int
	for range n {
		command := exec.CommandContext(context.WithoutCancel(b.Context()), program)
		command.Env = append(os.Environ(), nearAddr+"="+addr, nearMode+"="+mode, "GOMAXPROCS=1")
		command.Stderr = os.Stderr
		input, err := command.StdinPipe()
		require.NoError(b, err)
		output, err := command.StdoutPipe()
		require.NoError(b, err)
		require.NoError(b, command.Start())
		lines := bufio.NewReader(output)
		line, err := lines.ReadString('\n')
		require.NoError(b, err)
		require.Equal(b, "ready\n", line)
		ends = append(ends, sync.OnceValue(func() int {
			_ = input.Close()
			said, err := lines.ReadString('\n')
			assert.NoError(b, err)
			n, err := strconv.Atoi(strings.TrimSpace(said))
			assert.NoError(b, err)
			assert.NoError(b, command.Wait())
			return n
		}))
	}
	end = func() (messages int) {
		for _, e := range ends {
			messages += e()
		}
		return messages
	}
	b.Cleanup(func() { end() })
	return end
}

// BenchmarkNearInvalidate invalidates a key in one of several processes on this machine: with Redis alone, where
// nobody is told; with bounded near caches, which are told; and with strict ones, which are waited for. messages/op
// counts what the processes have got, and bytes/op all that went in and out of the server, with the heartbeats meanwhile.
func BenchmarkNearInvalidate(b *testing.B) {
	for _, processes := range []int{2, 3, 10, 30} {
		b.Run("processes="+strconv.Itoa(processes), func(b *testing.B) {
			modes := []string{"readthrough-redis", "readthrough-bounded", "readthrough-strict"}
			for i := range modes {
				mode := modes[(i+*rotate)%len(modes)]
				b.Run(mode, func(b *testing.B) { invalidateNear(b, processes, strings.TrimPrefix(mode, "readthrough-")) })
			}
		})
	}
}

func invalidateNear(b *testing.B, processes int, mode string) {
	b.Helper()
	server := redistest.StartReal(b, redistest.Options{})
	var store provider.CacheProvider
	messages := func() int { return 0 }
	if mode == "redis" {
		client := newClient(server.Addr())
		b.Cleanup(func() { _ = client.Close() })
		far, err := redisprovider.New(client, redisprovider.Options{})
		require.NoError(b, err)
		store = far
	} else {
		end := startNearProcesses(b, processes-1, server.Addr(), mode)
		cached, client, err := newNear(server.Addr(), mode == "strict")
		require.NoError(b, err)
		b.Cleanup(func() {
			assert.NoError(b, cached.Close())
			assert.NoError(b, client.Close())
		})
		store = cached
		messages = func() int { return end() + int(cached.NearStats().Membership.Messages) }
	}
	ctx, key := b.Context(), provider.Key{Scope: "s", Name: "k"}
	require.NoError(b, store.Delete(ctx, key)) // after it, the record is older than a lease
	before := serverBytes(b, server)
	var took []time.Duration
	watch := start(b)
	for range b.N {
		began := time.Now()
		if err := store.Delete(ctx, key); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	watch.stop(b, b.N)
	after := serverBytes(b, server)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "median-ns")
	b.ReportMetric(float64(took[(len(took)-1)*99/100]), "p99-ns")
	b.ReportMetric((after-before)/float64(b.N), "bytes/op")
	b.ReportMetric(float64(messages())/float64(b.N+1), "messages/op") // one was before
}

// serverBytes returns how many bytes a server has read and written.
func serverBytes(b *testing.B, server *redistest.Server) (sum float64) {
	b.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	stats, err := client.InfoMap(b.Context(), "stats").Result()
	require.NoError(b, err)
	for _, name := range []string{"total_net_input_bytes", "total_net_output_bytes"} {
		n, err := strconv.ParseFloat(stats["Stats"][name], 64)
		require.NoError(b, err)
		sum += n
	}
	return sum
}
