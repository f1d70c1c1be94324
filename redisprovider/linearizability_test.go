package redisprovider_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// What the provider promises is said for each key by itself, so a history of calls
// is taken apart into steps on single keys, and the steps on each key have to be
// linearizable, on a server that loses nothing and evicts nothing:
//
//   - A call for one key is one step: a read, a removal, or a step of a lease. So
//     is the share of each key in a call for several; nothing is promised of them
//     together.
//   - DeletePrefix is two steps on every key that it covers, at the moments when it
//     is called and when it returns. In between, what is there may go at any time,
//     also what was stored meanwhile; entries and leases that were there when it was
//     called have to, and so has what such a lease was filled with.
//
// TTLs are too long to matter. The number that DeletePrefix returns is not looked
// at here.

const (
	linRounds  = 60
	linClients = 4
	linSteps   = 40 // calls of a client in a round
)

// linKeys and linPrefixes are few, so that calls meet.
func linKeys() []string     { return []string{"a", "ab", "abc", "b"} }
func linPrefixes() []string { return []string{"", "a", "ab", "b"} }

type linKind uint8

const (
	linGet linKind = iota
	linSet
	linDelete
	linSweepBegins // of DeletePrefix
	linSweepEnds
	linAcquire
	linRefresh // with Force
	linFill
	linRelease
)

func (k linKind) String() string {
	return [...]string{"get", "set", "delete", "prefix begins", "prefix ends", "acquire", "refresh", "fill", "release"}[k]
}

// linInput is a step on one key.
type linInput struct {
	kind  linKind
	key   string
	value int    // of linSet and linFill, never 0
	token string // of linFill and linRelease
	sweep linSweeps
}

// linSweeps is a set of deletions by prefix: a bit for each client, which makes one
// at a time.
type linSweeps uint64

// linOutput is what a step returned.
type linOutput struct {
	value  int // that was found; 0: none
	state  provider.GrantState
	token  string // that was granted
	stored bool   // of linFill
}

// linState is what a key has.
type linState struct {
	value int       // 0: none
	lease string    // "": none
	under linSweeps // deletions that are running
	due   linSweeps // those among them that have to remove value and lease
}

func (s linState) empty() bool { return s.value == 0 && s.lease == "" }

// linStep is the specification of one key: whether the step is possible, and then
// the next state.
func linStep(s linState, in linInput, out linOutput) (next linState, possible bool) {
	switch in.kind {
	case linGet:
		return s, out.value == s.value
	case linSet:
		return linState{value: in.value, under: s.under}, true
	case linDelete:
		return linState{under: s.under}, true
	case linSweepBegins:
		s.under |= in.sweep
		if !s.empty() {
			s.due |= in.sweep
		}
		return s, true
	case linSweepEnds:
		possible = s.due&in.sweep == 0
		s.under &^= in.sweep
		return s, possible
	case linAcquire, linRefresh:
		want := provider.LeaseGranted
		switch {
		case in.kind == linAcquire && s.value != 0:
			want = provider.LeaseFound
		case s.lease != "":
			want = provider.LeaseBusy
		default:
			s.lease = out.token
		}
		return s, out.state == want && out.value == s.value
	case linFill:
		if s.lease != in.token {
			return s, !out.stored
		}
		s.value, s.lease = in.value, ""
		return s, out.stored
	default: // linRelease
		if s.lease == in.token {
			s.lease = ""
		}
		if s.empty() {
			s.due = 0
		}
		return s, true
	}
}

func linModel() porcupine.Model {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{linState{}} },
		Step: func(state, input, output any) (next []any) {
			s, _ := state.(linState)
			in, _ := input.(linInput)
			out, _ := output.(linOutput)
			if n, possible := linStep(s, in, out); possible {
				next = append(next, n)
			}
			if s.under != 0 && !s.empty() { // it may be gone already
				if n, possible := linStep(linState{under: s.under}, in, out); possible {
					next = append(next, n)
				}
			}
			return next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v: %+v", input, output) },
	}
	model := nondeterministic.ToModel()
	model.Partition = func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		for _, key := range linKeys() {
			var part []porcupine.Operation
			for _, op := range history {
				if in, _ := op.Input.(linInput); in.key == key {
					part = append(part, op)
				}
			}
			parts = append(parts, part)
		}
		return parts
	}
	return model
}

// linSweep is a DeletePrefix: when it was, and its prefix.
type linSweep struct {
	span   porcupine.Operation
	prefix string
}

// steps are those of a deletion by prefix.
func (s linSweep) steps() (steps []porcupine.Operation) {
	for _, key := range linKeys() {
		if strings.HasPrefix(key, s.prefix) {
			begins, ends := s.span, s.span
			begins.Return, ends.Call = s.span.Call, s.span.Return
			begins.Input = linInput{kind: linSweepBegins, key: key, sweep: 1 << s.span.ClientId}
			ends.Input = linInput{kind: linSweepEnds, key: key, sweep: 1 << s.span.ClientId}
			begins.Output, ends.Output = linOutput{}, linOutput{}
			steps = append(steps, begins, ends)
		}
	}
	return steps
}

// linStore is what is tested.
type linStore interface {
	provider.CacheProvider
	provider.Batcher
	provider.Leaser
	provider.Refresher
}

// linRound is what the clients of a round share.
type linRound struct {
	scope  string
	clock  atomic.Int64 // an order without ties
	values atomic.Int64 // each is stored once
}

// linClient makes random calls and notes them.
type linClient struct {
	*linRound

	t      *testing.T
	id     int
	r      *rand.Rand
	store  linStore
	leases []provider.Lease
	steps  []porcupine.Operation
	sweeps []linSweep
}

// during makes a call and returns when that was.
func (c *linClient) during(call func(ctx context.Context) error) porcupine.Operation {
	span := porcupine.Operation{ClientId: c.id, Call: c.clock.Add(1)}
	err := call(c.t.Context())
	span.Return = c.clock.Add(1)
	if err != nil { // an assertion takes a lock that all clients would share
		c.t.Error(err)
	}
	return span
}

func (c *linClient) note(span porcupine.Operation, in linInput, out linOutput) {
	span.Input, span.Output = in, out
	c.steps = append(c.steps, span)
}

// some returns keys.
func (c *linClient) some() (names []string, keys []provider.Key) {
	names = linKeys()
	c.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:1+c.r.IntN(len(names))]
	for _, name := range names {
		keys = append(keys, provider.Key{Scope: c.scope, Name: name})
	}
	return names, keys
}

func (c *linClient) run() {
	for range linSteps {
		switch n := c.r.IntN(20); {
		case n < 4:
			c.get()
		case n < 6:
			c.set()
		case n < 8:
			c.remove()
		case n < 10:
			c.sweep(linPrefixes()[c.r.IntN(len(linPrefixes()))])
		case n < 15:
			c.lease()
		case n < 19:
			c.fill()
		default:
			c.release()
		}
	}
}

// found returns the number that an entry has, 0 if there is none.
func (c *linClient) found(entry *provider.Entry, ok bool) (value int) {
	if encoded, is := entry.Value.(provider.Encoded); ok && is {
		if err := encoded.Decode(&value); err != nil {
			c.t.Error(err)
		}
	}
	return value
}

func (c *linClient) entry() (entry provider.Entry, value int) {
	value = int(c.values.Add(1))
	return provider.Entry{Value: value}, value
}

// get reads one key or several.
func (c *linClient) get() {
	names, keys := c.some()
	results := make([]provider.Result, len(keys))
	span := c.during(func(ctx context.Context) (err error) {
		if len(keys) == 1 {
			results[0].Entry, results[0].Found, err = c.store.Get(ctx, keys[0])
		} else {
			results, err = c.store.GetMany(ctx, keys)
		}
		return err
	})
	for i, name := range names {
		c.note(span, linInput{kind: linGet, key: name}, linOutput{value: c.found(&results[i].Entry, results[i].Found)})
	}
}

// set stores one key or several.
func (c *linClient) set() {
	names, keys := c.some()
	items, values := make([]provider.Item, len(keys)), make([]int, len(keys))
	for i, key := range keys {
		items[i] = provider.Item{Key: key, TTL: time.Hour}
		items[i].Entry, values[i] = c.entry()
	}
	span := c.during(func(ctx context.Context) error {
		if len(items) == 1 {
			return c.store.Set(ctx, items[0].Key, items[0].Entry, items[0].TTL)
		}
		return c.store.SetMany(ctx, items)
	})
	for i, name := range names {
		c.note(span, linInput{kind: linSet, key: name, value: values[i]}, linOutput{})
	}
}

func (c *linClient) remove() {
	names, keys := c.some()
	span := c.during(func(ctx context.Context) error { return c.store.Delete(ctx, keys...) })
	for _, name := range names {
		c.note(span, linInput{kind: linDelete, key: name}, linOutput{})
	}
}

func (c *linClient) sweep(prefix string) {
	span := c.during(func(ctx context.Context) error {
		_, err := c.store.DeletePrefix(ctx, c.scope, prefix)
		return err
	})
	c.sweeps = append(c.sweeps, linSweep{span, prefix})
}

// lease acquires keys, or refreshes them.
func (c *linClient) lease() {
	names, keys := c.some()
	kind := linAcquire
	if c.r.IntN(2) == 0 {
		kind = linRefresh
	}
	var grants []provider.Grant
	span := c.during(func(ctx context.Context) (err error) {
		if kind == linAcquire {
			grants, err = c.store.Acquire(ctx, keys, time.Hour)
			return err
		}
		requests := make([]provider.RefreshRequest, len(keys))
		for i, key := range keys {
			requests[i] = provider.RefreshRequest{Key: key, Force: true}
		}
		grants, err = c.store.Refresh(ctx, requests, time.Hour)
		return err
	})
	for i := range grants {
		g := &grants[i]
		out := linOutput{value: c.found(&g.Entry, g.Found), state: g.State}
		if g.State == provider.LeaseGranted {
			out.token = g.Lease.Token
			c.leases = append(c.leases, g.Lease)
		}
		c.note(span, linInput{kind: kind, key: names[i]}, out)
	}
}

// owned takes one of the leases that the client was granted, for good or not: it
// also fills and releases twice.
func (c *linClient) owned() (lease provider.Lease, ok bool) {
	if len(c.leases) == 0 {
		return lease, false
	}
	i := c.r.IntN(len(c.leases))
	lease = c.leases[i]
	if c.r.IntN(4) > 0 {
		c.leases = slices.Delete(c.leases, i, i+1)
	}
	return lease, true
}

func (c *linClient) fill() {
	lease, ok := c.owned()
	if !ok {
		return
	}
	entry, value := c.entry()
	var stored bool
	span := c.during(func(ctx context.Context) error {
		filled, err := c.store.Fill(ctx, []provider.Fill{{Lease: lease, Entry: entry, TTL: time.Hour}})
		stored = filled[0].Stored
		return err
	})
	c.note(span, linInput{kind: linFill, key: lease.Key.Name, value: value, token: lease.Token}, linOutput{stored: stored})
}

func (c *linClient) release() {
	lease, ok := c.owned()
	if !ok {
		return
	}
	span := c.during(func(ctx context.Context) error { return c.store.Release(ctx, []provider.Lease{lease}) })
	c.note(span, linInput{kind: linRelease, key: lease.Key.Name, token: lease.Token}, linOutput{})
}

// linHistory lets clients use stores all at once, in a scope that is new. Each of
// stores stands for a process.
func linHistory(t *testing.T, r *rand.Rand, scope string, stores ...linStore) (history []porcupine.Operation) {
	t.Helper()
	round := &linRound{scope: scope}
	var wg sync.WaitGroup
	clients := make([]*linClient, linClients)
	for i := range clients {
		c := &linClient{
			linRound: round, t: t, id: i, store: stores[i%len(stores)],
			r: rand.New(rand.NewPCG(r.Uint64(), 1)),
		}
		clients[i] = c
		wg.Go(c.run)
	}
	wg.Wait()
	for _, c := range clients {
		history = append(history, c.steps...)
		for _, sweep := range c.sweeps {
			history = append(history, sweep.steps()...)
		}
	}
	return history
}

// linearizable reports whether a history is one of the model. If that is an error,
// it is drawn, for a browser; -artifacts keeps the file.
func linearizable(t *testing.T, history []porcupine.Operation, isError bool) bool {
	t.Helper()
	model := linModel()
	result, info := porcupine.CheckOperationsVerbose(model, history, 0)
	if result == porcupine.Ok {
		return true
	}
	if isError {
		path := filepath.Join(t.ArtifactDir(), "history.html")
		assert.NoError(t, porcupine.VisualizePath(model, info, path))
		t.Errorf("the history is not linearizable, see %s", path)
	}
	return false
}

// TestLinearizable has two processes on a server.
func TestLinearizable(t *testing.T) {
	for name, options := range map[string]redisprovider.Options{
		"default": {},
		"fence":   {FenceByServer: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRand(t)
			a, _, server := newOnServer(t, options)
			b := newProvider(t, newServerClient(t, server.Addr()), options)
			granted, filled := 0, 0
			for round := range linRounds {
				history := linHistory(t, r, fmt.Sprint("s", round), a, b)
				if !linearizable(t, history, true) {
					return
				}
				for _, op := range history {
					if out, _ := op.Output.(linOutput); out.stored {
						filled++
					} else if out.token != "" {
						granted++
					}
				}
			}
			assert.NotZero(t, granted, "leases that were granted")
			assert.NotZero(t, filled, "leases that were filled")
		})
	}
}

// lateSet is a store whose Set returns before others see the entry: they do when
// something else is stored.
type lateSet struct {
	linStore

	mu   sync.Mutex // guards following
	late func() error
}

func (s *lateSet) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.late
	s.late = func() error { return s.linStore.Set(ctx, key, entry, ttl) }
	if before == nil {
		return nil
	}
	return before()
}

// lostDelete is a store that forgets one deletion in ten.
type lostDelete struct {
	linStore

	calls atomic.Int64
}

func (s *lostDelete) Delete(ctx context.Context, keys ...provider.Key) error {
	if s.calls.Add(1)%10 == 0 {
		return nil
	}
	return s.linStore.Delete(ctx, keys...)
}

// keptLease is a store whose Delete removes entries and leaves leases.
type keptLease struct{ linStore }

func (s keptLease) Delete(ctx context.Context, keys ...provider.Key) error {
	for _, key := range keys {
		if _, found, err := s.Get(ctx, key); err != nil || !found {
			continue
		}
		if err := s.linStore.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// anyFill is a store that fills whether the key has the lease or not.
type anyFill struct{ linStore }

func (s anyFill) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled := make([]provider.Filled, len(fills))
	for i, f := range fills {
		if err := s.Set(ctx, f.Lease.Key, f.Entry, f.TTL); err != nil {
			return filled, err
		}
		filled[i].Stored = true
	}
	return filled, nil
}

// TestLinearizableFindsBrokenStores shows that the test above can fail.
func TestLinearizableFindsBrokenStores(t *testing.T) {
	for name, broken := range map[string]func(linStore) linStore{
		"set that is late":            func(s linStore) linStore { return &lateSet{linStore: s} },
		"deletion that is lost":       func(s linStore) linStore { return &lostDelete{linStore: s} },
		"deletion that leaves leases": func(s linStore) linStore { return keptLease{s} },
		"fill without the lease":      func(s linStore) linStore { return anyFill{s} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRand(t)
			store, _, _ := newOnServer(t, redisprovider.Options{})
			for round := range linRounds {
				if !linearizable(t, linHistory(t, r, fmt.Sprint("s", round), broken(store)), false) {
					return
				}
			}
			t.Error("nothing was found")
		})
	}
}
