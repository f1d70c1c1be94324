package redisprovider_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// cutConn is a connection that stalls in the middle of an answer.
type cutConn struct {
	net.Conn

	left  *atomic.Int64 // bytes that it reads before it stalls; negative: all
	until atomic.Int64  // the deadline of reads
}

func (c *cutConn) SetReadDeadline(t time.Time) error {
	c.until.Store(t.UnixNano())
	return c.Conn.SetReadDeadline(t)
}

func (c *cutConn) SetDeadline(t time.Time) error {
	c.until.Store(t.UnixNano())
	return c.Conn.SetDeadline(t)
}

func (c *cutConn) Read(b []byte) (int, error) {
	left := c.left.Load()
	switch {
	case left < 0:
		return c.Conn.Read(b)
	case left == 0:
		time.Sleep(time.Until(time.Unix(0, c.until.Load())))
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), left)])
	c.left.Add(int64(-n))
	return n, err
}

// newOnCutLink returns a store whose connections stall after so many bytes as left says.
func newOnCutLink(t *testing.T, addr string, options redisprovider.Options) (p *redisprovider.Provider, left *atomic.Int64) {
	t.Helper()
	left = new(atomic.Int64)
	left.Store(-1)
	client := newServerClient(t, addr, func(o *redis.Options) {
		o.ContextTimeoutEnabled, o.MaxRetries = true, -1
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &cutConn{Conn: conn, left: left}, err
		}
	})
	return newProvider(t, client, options), left
}

// TestAnswerThatIsCutOffIsNoEntry: a deadline has cut an answer off at any byte of it. The error is that
// of the deadline, and never one of an entry that cannot be read: the cache would remove a healthy
// entry, and count the store as well.
func TestAnswerThatIsCutOffIsNoEntry(t *testing.T) {
	t.Parallel()
	const size = 100_000
	for _, fence := range []bool{false, true} {
		server := redistest.StartReal(t, redistest.Options{})
		options := redisprovider.Options{KeyPrefix: freshPrefix(), FenceByServer: fence}
		near := newProvider(t, newServerClient(t, server.Addr()), options)
		far, left := newOnCutLink(t, server.Addr(), options)
		keys := numbered("s", 3)
		for _, k := range keys {
			mustSet(t, near, k, strings.Repeat("x", size))
		}
		reads := map[string]func(ctx context.Context) error{
			"get": func(ctx context.Context) error { _, _, err := far.Get(ctx, keys[0]); return err },
			"get many": func(ctx context.Context) error {
				results, err := far.GetMany(ctx, keys)
				for _, r := range results {
					assert.NotErrorIs(t, r.Err, provider.ErrUndecodable)
				}
				return err
			},
			"acquire": func(ctx context.Context) error {
				grants, err := far.Acquire(ctx, keys[:1], time.Second)
				assert.NotErrorIs(t, grants[0].Err, provider.ErrUndecodable)
				return err
			},
			"acquire some": func(ctx context.Context) error {
				grants, err := far.Acquire(ctx, keys, time.Second)
				for _, g := range grants {
					assert.NotErrorIs(t, g.Err, provider.ErrUndecodable)
				}
				return err
			},
			"refresh": func(ctx context.Context) error {
				grants, err := far.Refresh(ctx, []provider.RefreshRequest{{Key: keys[0], LoadedAt: time.Now()}}, time.Second)
				assert.NotErrorIs(t, grants[0].Err, provider.ErrUndecodable)
				return err
			},
			"refresh by force": func(ctx context.Context) error {
				grants, err := far.Refresh(ctx, []provider.RefreshRequest{{Key: keys[0], Force: true}}, 10*time.Millisecond)
				assert.NotErrorIs(t, grants[0].Err, provider.ErrUndecodable)
				return err
			},
		}
		for name, read := range reads {
			require.NoError(t, read(t.Context()), name) // the server knows the scripts, and the client has a connection
			cutOff := 0
			for _, at := range []int64{0, 1, 5, 9, 20, size / 2, size} {
				what := fmt.Sprintf("%s, fence %v, cut off after %d bytes", name, fence, at)
				require.Eventually(t, func() bool { return read(t.Context()) == nil }, proofs.Patience(), time.Millisecond, what) // a connection is there again
				left.Store(at)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				err := read(ctx)
				cancel()
				left.Store(-1)
				if err != nil { // else another answer was cut off, that to a lease which is given back; or some keys are answered
					cutOff++
				}
				require.NotErrorIs(t, err, provider.ErrUndecodable, what)
			}
			assert.Positive(t, cutOff, "%s: calls that were cut off", name)
		}
		for _, k := range keys {
			wantValue(t, near, k, strings.Repeat("x", size))
		}
	}
}
