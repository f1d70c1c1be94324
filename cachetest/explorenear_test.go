package cachetest_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// settled is after how long new near caches answer: the leases of others, of whom a new server knows nothing, are over.
const settled = 2 * membership.DefaultLease

// nears are near caches in front of one store. What they ask of it, its answers, the messages about removals, and the
// acknowledgements wait at the gate. Heartbeats, and the looks at the record of the members, do not: they go on with time.
type nears struct {
	gate   *gate
	flaws  flaws
	server *neartest.Server

	mu     sync.Mutex // guards following
	stores []*neartest.Store
	memory []*near.Store
	lost   map[string]int // answers, by their requests
}

func newNears(g *gate, f flaws) *nears {
	n := &nears{gate: g, flaws: f, server: neartest.NewServer(), lost: make(map[string]int)}
	n.server.OnMessage(n.message)
	return n
}

// join returns the store of a process.
func (n *nears) join(t *testing.T, process int) provider.CacheProvider {
	t.Helper()
	far := neartest.NewStore(t.Context(), n.server, membership.DefaultLease)
	far.On(neartest.Sent, func(ctx context.Context, op string) error { return n.request(ctx, process, op) })
	far.On(neartest.Executed, func(ctx context.Context, op string) error { return n.reply(ctx, process, op) })
	store, err := near.New(far, near.Options{Strict: !n.flaws.nearIsBounded})
	require.NoError(t, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stores, n.memory = append(n.stores, far), append(n.memory, store)
	return store
}

// wantAll checks that each near cache has what its process uses.
func (n *nears) wantAll(t *testing.T, p *program) {
	t.Helper()
	for _, c := range p.callers {
		for _, o := range c.ops {
			for _, key := range o.keys {
				_, is := n.memory[c.process].GetValue(provider.Key{Scope: "s", Name: key})
				require.Equal(t, provider.Present, is, "%s in the near cache of %s", key, process(c.process))
			}
		}
	}
}

// passes reports whether a request does not wait.
func passes(op string) bool { return op == "beat" || op == "roll" || op == "remove" }

// named returns ctx with a name for what the near cache of a process does by itself.
func named(ctx context.Context, p int) context.Context {
	if callerOf(ctx) != "" {
		return ctx
	}
	return context.WithValue(ctx, callerKey{}, process(p)+" near")
}

func (n *nears) request(ctx context.Context, process int, op string) error {
	if passes(op) {
		return nil
	}
	ctx = named(ctx, process)
	lost := n.gate.wait(ctx, step{name: op, what: "request", process: process, touch: []string{"store:*"}, writes: op != "get"})
	switch lost {
	case loseRequest:
		return errLost
	case loseReply:
		n.mu.Lock()
		n.lost[callerOf(ctx)+op]++
		n.mu.Unlock()
	case loseNothing:
	}
	return nil
}

func (n *nears) reply(ctx context.Context, process int, op string) error {
	if passes(op) {
		return nil
	}
	ctx = named(ctx, process)
	n.gate.wait(ctx, step{name: op, what: "reply", process: process, returns: op != "get" && op != "acquire"})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lost[callerOf(ctx)+op] == 0 {
		return nil
	}
	n.lost[callerOf(ctx)+op]--
	return errLost
}

// message holds up what tells a process that something was removed.
func (n *nears) message(to *neartest.Store, m membership.Message) []membership.Message {
	if m.Beat != 0 {
		return []membership.Message{m}
	}
	n.mu.Lock()
	process := slices.Index(n.stores, to)
	n.mu.Unlock()
	n.gate.wait(named(context.Background(), process), step{name: "message", what: "arrives", process: process, touch: []string{"store:*"}})
	if n.flaws.nearDropsNothing {
		m.Removed = provider.Removed{}
	}
	return []membership.Message{m}
}

// nearPrograms are those of processes with near caches.
func nearPrograms() []program {
	swr := readthrough.ScopeOptions{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour}
	prefixed := caller{1, []operation{{kind: opWrite, keys: []string{"x:a"}, prefix: "x:"}}}
	programs := []program{
		{name: "a reader", callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a")}},
		{name: "what another process has stored", callers: []caller{reader(1, "a"), reader(0, "a", "a"), does(1, opWrite, "a")}},
		{name: "readers of what both have", warm: true, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "a writer whose process has it", warm: true, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(1, "a", "a")}, ticks: 1},
		{name: "two writers", warm: true, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "a prefix", warm: true, callers: []caller{reader(0, "x:a", "x:a"), prefixed, reader(1, "x:a")}},
		{name: "a prefix of what nobody has", callers: []caller{reader(0, "x:a", "x:a"), prefixed}},
		{name: "bulk reads", warm: true, callers: []caller{does(0, opReadMany, "a", "b"), does(1, opWrite, "a", "b"), does(1, opReadMany, "b", "c")}},
		{name: "an absence", callers: []caller{reader(0, "a"), does(0, opRemove, "a"), reader(1, "a", "a"), does(1, opWrite, "a")}},
		{name: "put", warm: true, callers: []caller{does(0, opPut, "a"), reader(0, "a"), reader(1, "a", "a")}},
		{name: "a refresh by hand", warm: true, callers: []caller{does(0, opRefresh, "a"), does(1, opWrite, "a"), reader(0, "a")}},
		{name: "a hold", warm: true, callers: []caller{reader(0, "a", "a"), does(1, opMutate, "a"), reader(1, "a")}},
		{name: "stale while revalidating", scope: swr, warm: true, aged: 30 * time.Millisecond, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "losses", losses: 1, warm: true, ticks: 1, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "losses in two processes", losses: 2, ticks: 2, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), does(1, opWrite, "a"), reader(1, "a", "a")}},
		{name: "lost acknowledgements", losses: 2, lossy: "ack", warm: true, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), does(1, opWrite, "a")}},
	}
	for i := range programs {
		programs[i].name, programs[i].near = "near caches, "+programs[i].name, true
	}
	return programs
}
