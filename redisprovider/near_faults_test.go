package redisprovider_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// nearWires are the connections of a client, of RESP2. It tells that of the subscription from the others.
type nearWires struct {
	mu    sync.Mutex // guards following
	open  map[*nearWire]struct{}
	apart bool // the others are cut, and none is made
	// messages says what is delivered in place of a message about removals; nil: it is.
	messages func(frame []byte) [][]byte
}

// nearWire is one connection.
type nearWire struct {
	net.Conn

	all        *nearWires
	from       *bufio.Reader
	subscribed atomic.Bool
	ready      []byte // of a subscription: what has been read and is not delivered
}

func newNearWires() *nearWires { return &nearWires{open: make(map[*nearWire]struct{})} }

// of has a client use them.
func (ws *nearWires) of(o *redis.Options) {
	o.Protocol = 2
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ws.mu.Lock()
		apart := ws.apart
		ws.mu.Unlock()
		if apart {
			return nil, errors.New("the connections are cut")
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		w := &nearWire{Conn: conn, all: ws, from: bufio.NewReader(conn)}
		ws.mu.Lock()
		defer ws.mu.Unlock()
		ws.open[w] = struct{}{}
		return w, nil
	}
}

// cutData cuts all connections but that of the subscription, and lets none be made; or no longer.
func (ws *nearWires) cutData(cut bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.apart = cut
	for w := range ws.open {
		if cut && !w.subscribed.Load() {
			_ = w.Conn.Close()
			delete(ws.open, w)
		}
	}
}

func (ws *nearWires) set(messages func(frame []byte) [][]byte) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.messages = messages
}

func (w *nearWire) Write(b []byte) (int, error) {
	if bytes.Contains(bytes.ToLower(b), []byte("\r\nsubscribe\r\n")) {
		w.subscribed.Store(true)
	}
	return w.Conn.Write(b)
}

func (w *nearWire) Read(b []byte) (int, error) {
	if !w.subscribed.Load() {
		return w.from.Read(b)
	}
	for len(w.ready) == 0 {
		frame, err := w.frame()
		if err != nil {
			return 0, err
		}
		for _, f := range w.all.instead(frame) {
			w.ready = append(w.ready, f...)
		}
	}
	n := copy(b, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}

// instead returns what is delivered in place of a frame.
func (ws *nearWires) instead(frame []byte) [][]byte {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.messages == nil || !bytes.Contains(frame, []byte("message\r\n")) || !bytes.Contains(frame, []byte("{:near}:c\r\n")) {
		return [][]byte{frame}
	}
	return ws.messages(frame)
}

// frame reads an answer of RESP2: a line, the rest of a text, or a list of answers.
func (w *nearWire) frame() ([]byte, error) {
	frame, err := w.from.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	size, _ := strconv.Atoi(strings.TrimSpace(string(frame[1:])))
	switch frame[0] {
	case '$':
		text := make([]byte, max(size, 0)+len("\r\n"))
		_, err = io.ReadFull(w.from, text)
		return append(frame, text...), err
	case '*':
		for range size {
			part, err := w.frame()
			if err != nil {
				return nil, err
			}
			frame = append(frame, part...)
		}
	}
	return frame, nil
}

// nearMessages are what may happen to the messages about removals, between the server and a process.
func nearMessages() map[string]func(frame []byte) [][]byte {
	var n int
	var held []byte
	return map[string]func(frame []byte) [][]byte{
		"each second is lost": func(frame []byte) [][]byte {
			if n++; n%2 == 0 {
				return nil
			}
			return [][]byte{frame}
		},
		"all come twice": func(frame []byte) [][]byte { return [][]byte{frame, frame} },
		"two at a time, the second first": func(frame []byte) [][]byte {
			if held == nil {
				held = bytes.Clone(frame)
				return nil
			}
			first := held
			held = nil
			return [][]byte{frame, first}
		},
	}
}

// TestNearMessages: single messages to B are lost, repeated, or come in another order, on a real server. No read of
// B is stale.
func TestNearMessages(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	for name, fault := range nearMessages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := redisprovider.Options{KeyPrefix: freshPrefix()}
			ws := newNearWires()
			a := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
			b := newNearProc(t, newServerClient(t, s.Addr(), ws.of), o, near.Options{Strict: true})
			a.wait()
			b.wait()
			ws.set(fault)
			for version := range 8 {
				b.warm("k", version)
				require.NoError(t, a.scope.Invalidate(t.Context(), "k"))
				got, from := b.read("k", version+1)
				require.Equal(t, version+1, got, "from %v", from)
			}
			assert.Positive(t, b.near.NearStats().Membership.Messages)
		})
	}
}

// TestNearDataCut: B hears all messages, and cannot send: neither its heartbeats nor its acknowledgements. A waits
// for its lease, once. B loads meanwhile, and its memory answers again afterwards.
func TestNearDataCut(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	o := redisprovider.Options{KeyPrefix: freshPrefix()}
	ws := newNearWires()
	a := newNearProc(t, newServerClient(t, s.Addr()), o, near.Options{Strict: true})
	b := newNearProc(t, newServerClient(t, s.Addr(), ws.of), o, near.Options{Strict: true})
	a.wait()
	b.wait()
	b.warm("k", 0)
	ws.cutData(true)
	heard := b.near.NearStats().Membership.Messages
	for version := 1; version < 4; version++ {
		require.NoError(t, a.scope.Invalidate(t.Context(), "k"))
		got, from := b.read("k", version)
		require.Equal(t, version, got, "from %v", from)
	}
	assert.Greater(t, b.near.NearStats().Membership.Messages, heard, "messages that came meanwhile")
	poll(t, func() bool { return !b.near.NearStats().Membership.Valid })
	ws.cutData(false)
	require.Eventually(t, func() bool {
		got, from := b.read("k", 4)
		require.Contains(t, []int{3, 4}, got) // A has not changed it since
		return from == readthrough.FromNear
	}, proofs.Patience(), time.Millisecond)
}

// history is a run of two processes with near caches on one server, every read of which is recorded.
type nearHistory struct {
	t      *testing.T
	h      *cachetest.History
	source *cachetest.Source[cachetest.Value]
	writes atomic.Int64
}

const nearHistoryKeys = 4

// process reads and writes at a process until ctx ends.
func (n *nearHistory) process(ctx context.Context, name string, scope *readthrough.CachedScope, seed uint64, running *sync.WaitGroup) {
	source, h := n.source.At(name), n.h.At(name)
	for i := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, i))
		key := func() string { return fmt.Sprint("k", r.IntN(nearHistoryKeys)) }
		running.Go(func() {
			for ctx.Err() == nil {
				k := key()
				_, err := source.Read(k, func() (cachetest.Value, error) {
					return readthrough.Wrap(n.t.Context(), scope, k, func(ctx context.Context) (cachetest.Value, error) { return source.Load(ctx, k) })
				})
				assert.NoError(n.t, err)
				time.Sleep(time.Duration(r.IntN(200)) * time.Microsecond)
			}
		})
		if i > 0 {
			continue
		}
		running.Go(func() {
			for w := rand.New(rand.NewPCG(seed, 99)); ctx.Err() == nil; time.Sleep(time.Duration(w.IntN(8)) * time.Millisecond) {
				k := fmt.Sprint("k", w.IntN(nearHistoryKeys))
				source.Write(k)
				n.writes.Add(1)
				if w.IntN(4) == 0 {
					_ = h.InvalidatePrefix(k, func() error { _, err := scope.InvalidatePrefix(n.t.Context(), k); return err })
					continue
				}
				_ = h.Invalidate(k, func() error { return scope.Invalidate(n.t.Context(), k) })
			}
		})
	}
}

// runNearHistory runs two processes until they have written and read enough, and returns what the checker says. One of so
// many messages is lost, and one comes twice.
func runNearHistory(t *testing.T, disturbed int, store func(*redisprovider.Provider) provider.CacheProvider) (cachetest.Report, error) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := redistest.StartReal(t, redistest.Options{})
	h := cachetest.NewHistory(cachetest.Options{})
	n := &nearHistory{t: t, h: h, source: cachetest.NewSource(h)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	var scopes []*readthrough.CachedScope
	for i := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 1000+i))
		ws := newNearWires()
		ws.set(func(frame []byte) [][]byte {
			switch r.IntN(disturbed) {
			case 0:
				return nil
			case 1:
				return [][]byte{frame, frame}
			default:
				return [][]byte{frame}
			}
		})
		far := newProvider(t, newServerClient(t, s.Addr(), ws.of), redisprovider.Options{NearLease: nearLease})
		cache, err := readthrough.New(store(far), readthrough.Options{ProviderTimeout: 5 * time.Second, InvalidateTimeout: 10 * time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { _ = cache.Close() })
		scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
		require.NoError(t, err)
		scopes = append(scopes, scope)
		poll(t, func() bool { // until its memory answers
			_, err := readthrough.Wrap(t.Context(), scope, "first", func(context.Context) (int, error) { return 1, nil })
			return err == nil && scope.Stats().NearHits > 0
		})
		n.process(ctx, fmt.Sprint("process ", i), scope, seed+i, &running)
	}
	poll(t, func() bool {
		const writes, hits = 40, 100
		return n.writes.Load() >= writes && scopes[0].Stats().NearHits >= hits && scopes[1].Stats().NearHits >= hits
	})
	cancel()
	running.Wait()
	for i, scope := range scopes {
		source := n.source.At(fmt.Sprint("process ", i))
		source.Sweep(func(k string) (cachetest.Value, error) {
			return readthrough.Wrap(t.Context(), scope, k, func(ctx context.Context) (cachetest.Value, error) { return source.Load(ctx, k) })
		})
	}
	return h.Check()
}

// TestNearHistory: the checker of package cachetest finds nothing in what two processes with strict near caches read,
// while messages are lost and repeated; and it finds what memory returns that trusts every message.
func TestNearHistory(t *testing.T) {
	t.Parallel()
	report, err := runNearHistory(t, 10, func(far *redisprovider.Provider) provider.CacheProvider {
		store, err := near.New(far, near.Options{Strict: true})
		require.NoError(t, err)
		return store
	})
	require.NoError(t, err)
	t.Log(report)
	_, err = runNearHistory(t, 2, func(far *redisprovider.Provider) provider.CacheProvider {
		store, err := near.New(trustful{far}, near.Options{})
		require.NoError(t, err)
		return store
	})
	violation, ok := errors.AsType[*cachetest.ViolationError](err)
	require.True(t, ok, "memory that trusts every message is not convicted: %v", err)
	t.Log(violation.Kind)
}

// trustful is a store whose member may always answer, and never believes that it has missed something.
type trustful struct{ *redisprovider.Provider }

func (s trustful) Join(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
	m, err := s.Provider.Join(options, trustfulListener{l})
	l.ServeUntil(time.Now().Add(time.Hour))
	return m, err
}

type trustfulListener struct{ provider.Listener }

func (trustfulListener) Lost()                {}
func (trustfulListener) ServeUntil(time.Time) {}
