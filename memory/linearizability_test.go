package memory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
)

// What a store promises is said for each key by itself, so a history of calls is
// taken apart into steps on single keys, and the steps on each key have to be
// linearizable:
//
//   - Get, GetValue, Set and Delete of one key are one step.
//   - GetMany, SetMany and Delete of several are a step for each key, at any time
//     between the call and its return: nothing is promised of them together.
//   - DeletePrefix is two steps on every key that it covers, at the moments when it
//     is called and when it returns. In between, what is there may go at any time,
//     also what was stored meanwhile; what was there when it was called has to.
//   - A store that is full may drop an entry at any time: a Get that finds nothing
//     is possible in every state, but then the entry is gone. Without that, a store
//     has what it was given.
//
// The number that DeletePrefix returns is not looked at here.

const (
	linRounds  = 400
	linClients = 4
	linSteps   = 50 // calls of a client in a round
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
)

// linInput is a step on one key. Its output is the value that was found, 0 for
// none.
type linInput struct {
	kind  linKind
	key   string
	value int // of linSet, never 0
	sweep linSweeps
}

// linSweeps is a set of deletions by prefix: a bit for each client, which makes one
// at a time.
type linSweeps uint64

// linState is what a key has.
type linState struct {
	value int       // 0: none
	under linSweeps // those that are running
	due   linSweeps // those among them that have to remove value
}

// linStep is the specification of one key. A store that evicts may drop a value.
func linStep(s linState, in linInput, found int, evicts bool) []linState {
	switch in.kind {
	case linGet:
		switch {
		case found == s.value:
		case evicts && found == 0:
			s.value, s.due = 0, 0
		default:
			return nil
		}
	case linSet:
		s.value, s.due = in.value, 0
	case linDelete:
		s.value, s.due = 0, 0
	case linSweepBegins:
		s.under |= in.sweep
		if s.value != 0 {
			s.due |= in.sweep
		}
	case linSweepEnds:
		if s.due&in.sweep != 0 {
			return nil
		}
		s.under &^= in.sweep
	}
	return []linState{s}
}

func (in linInput) String() string {
	switch in.kind {
	case linGet:
		return "get " + in.key
	case linSet:
		return fmt.Sprintf("set %s to %d", in.key, in.value)
	case linDelete:
		return "delete " + in.key
	case linSweepBegins:
		return "deletion by prefix begins, " + in.key
	default:
		return "deletion by prefix ends, " + in.key
	}
}

// linModel is a store of one key. One that evicts may drop what it has.
func linModel(evicts bool) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{linState{}} },
		Step: func(state, input, output any) (next []any) {
			s, _ := state.(linState)
			in, _ := input.(linInput)
			found, _ := output.(int)
			states := linStep(s, in, found, evicts)
			if s.under != 0 && s.value != 0 { // it may be gone already
				states = append(states, linStep(linState{under: s.under}, in, found, evicts)...)
			}
			for _, n := range states {
				next = append(next, n)
			}
			return next
		},
		DescribeOperation: func(input, output any) string {
			if in, _ := input.(linInput); in.kind == linGet {
				return fmt.Sprintf("%v: %v", input, output)
			}
			return fmt.Sprint(input)
		},
	}
	m := model.ToModel()
	m.Partition = func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make(map[string][]porcupine.Operation)
		for _, op := range history {
			in, _ := op.Input.(linInput)
			parts[in.key] = append(parts[in.key], op)
		}
		var all [][]porcupine.Operation
		for _, key := range linKeys() {
			all = append(all, parts[key])
		}
		return all
	}
	return m
}

// linSpan is the time of a call, in an order without ties, and who made it.
type linSpan struct {
	client    int
	call, ret int64
}

func (s linSpan) step(kind linKind, key string, value, found int) porcupine.Operation {
	return porcupine.Operation{
		ClientId: s.client, Call: s.call, Return: s.ret,
		Input: linInput{kind: kind, key: key, value: value}, Output: found,
	}
}

// linSweep is a DeletePrefix.
type linSweep struct {
	linSpan

	prefix string
}

// steps are those of a deletion by prefix.
func (s linSweep) steps() (steps []porcupine.Operation) {
	for _, name := range linKeys() {
		if strings.HasPrefix(name, s.prefix) {
			begins, ends := s.linSpan, s.linSpan
			begins.ret, ends.call = s.call, s.ret
			for kind, span := range map[linKind]linSpan{linSweepBegins: begins, linSweepEnds: ends} {
				step := span.step(kind, name, 0, 0)
				step.Input = linInput{kind: kind, key: name, sweep: 1 << s.client}
				steps = append(steps, step)
			}
		}
	}
	return steps
}

// linStore is what is tested.
type linStore interface {
	provider.CacheProvider
	provider.Batcher
	provider.ValueGetter
}

// linClient makes random calls and notes them.
type linClient struct {
	t      *testing.T
	id     int
	r      *rand.Rand
	store  linStore
	clock  *atomic.Int64 // of the round
	values *atomic.Int64 // of the round: each is stored once
	steps  []porcupine.Operation
	sweeps []linSweep
}

// during makes a call and returns when that was.
func (c *linClient) during(call func(ctx context.Context) error) linSpan {
	span := linSpan{client: c.id, call: c.clock.Add(1)}
	err := call(c.t.Context())
	span.ret = c.clock.Add(1)
	assert.NoError(c.t, err)
	return span
}

func (c *linClient) some() []string {
	keys := linKeys()
	c.r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys[:1+c.r.IntN(len(keys))]
}

func (c *linClient) note(span linSpan, kind linKind, key string, value, found int) {
	c.steps = append(c.steps, span.step(kind, key, value, found))
}

func (c *linClient) run() {
	for range linSteps {
		if c.r.IntN(3) == 0 {
			runtime.Gosched()
		}
		switch n := c.r.IntN(20); {
		case n < 4:
			c.get(c.some()[0])
		case n < 8:
			c.getValue(c.some()[0])
		case n < 12:
			c.set(c.some()[0])
		case n < 14:
			c.remove(c.some())
		case n < 16:
			c.sweep(linPrefixes()[c.r.IntN(len(linPrefixes()))])
		case n < 18:
			if c.r.IntN(2) == 0 {
				c.getMany(c.some())
			} else {
				c.getValues(c.some())
			}
		default:
			c.setMany(c.some())
		}
	}
}

func (c *linClient) get(name string) {
	found := 0
	span := c.during(func(ctx context.Context) error {
		entry, ok, err := c.store.Get(ctx, key("s", name))
		if ok {
			found, _ = entry.Value.(int)
		}
		return err
	})
	c.note(span, linGet, name, 0, found)
}

func (c *linClient) getValue(name string) {
	found := 0
	span := c.during(func(context.Context) error {
		value, is := c.store.GetValue(key("s", name))
		if is == provider.Unsure {
			return errors.New("unsure of a plain value")
		}
		found, _ = value.(int)
		return nil
	})
	c.note(span, linGet, name, 0, found)
}

func (c *linClient) getValues(names []string) {
	found := make([]int, len(names))
	span := c.during(func(context.Context) error {
		values := make([]provider.Value, len(names))
		c.store.GetValues(linNamed(names), values)
		for i, v := range values {
			if v.Is == provider.Unsure {
				return errors.New("unsure of a plain value")
			}
			found[i], _ = v.Value.(int)
		}
		return nil
	})
	for i, name := range names {
		c.note(span, linGet, name, 0, found[i])
	}
}

func (c *linClient) getMany(names []string) {
	found := make([]int, len(names))
	span := c.during(func(ctx context.Context) error {
		results, err := c.store.GetMany(ctx, linNamed(names))
		for i := range results {
			if results[i].Found {
				found[i], _ = results[i].Entry.Value.(int)
			}
		}
		return err
	})
	for i, name := range names {
		c.note(span, linGet, name, 0, found[i])
	}
}

func (c *linClient) set(name string) {
	value := int(c.values.Add(1))
	span := c.during(func(ctx context.Context) error {
		return c.store.Set(ctx, key("s", name), provider.Entry{Value: value}, provider.NoExpiry)
	})
	c.note(span, linSet, name, value, 0)
}

func (c *linClient) setMany(names []string) {
	items := make([]provider.Item, len(names))
	for i, name := range names {
		items[i] = provider.Item{Key: key("s", name), Entry: provider.Entry{Value: int(c.values.Add(1))}, TTL: provider.NoExpiry}
	}
	span := c.during(func(ctx context.Context) error { return c.store.SetMany(ctx, items) })
	for i, name := range names {
		value, _ := items[i].Entry.Value.(int)
		c.note(span, linSet, name, value, 0)
	}
}

func (c *linClient) remove(names []string) {
	span := c.during(func(ctx context.Context) error { return c.store.Delete(ctx, linNamed(names)...) })
	for _, name := range names {
		c.note(span, linDelete, name, 0, 0)
	}
}

func (c *linClient) sweep(prefix string) {
	span := c.during(func(ctx context.Context) error {
		_, err := c.store.DeletePrefix(ctx, "s", prefix)
		return err
	})
	c.sweeps = append(c.sweeps, linSweep{span, prefix})
}

func linNamed(names []string) []provider.Key {
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = key("s", name)
	}
	return keys
}

// linHistory lets clients use a store all at once.
func linHistory(t *testing.T, r *rand.Rand, store linStore) (history []porcupine.Operation) {
	t.Helper()
	var clock, values atomic.Int64
	var wg sync.WaitGroup
	clients := make([]*linClient, linClients)
	for i := range clients {
		c := &linClient{
			t: t, id: i, r: rand.New(rand.NewPCG(r.Uint64(), 1)),
			store: store, clock: &clock, values: &values,
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
func linearizable(t *testing.T, model porcupine.Model, history []porcupine.Operation, isError bool) bool {
	t.Helper()
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

func TestLinearizable(t *testing.T) {
	r := random(t)
	for range linRounds {
		if !linearizable(t, linModel(false), linHistory(t, r, newStore(t, Options{MaxEntries: 1 << 20})), true) {
			return
		}
	}
}

// TestLinearizableWithEvictions has a store that is too small. The model without
// evictions has to notice.
func TestLinearizableWithEvictions(t *testing.T) {
	r := random(t)
	noticed := false
	for range linRounds {
		history := linHistory(t, r, newStore(t, Options{MaxEntries: 2}))
		if !linearizable(t, linModel(true), history, true) {
			return
		}
		noticed = noticed || !linearizable(t, linModel(false), history, false)
	}
	assert.True(t, noticed, "nothing that was looked for had been evicted")
}

// lateSet is a store whose Set returns before others see the entry: they do when
// something else is stored.
type lateSet struct {
	linStore

	mu   sync.Mutex // guards following
	late func() error
}

func (s *lateSet) Set(ctx context.Context, k provider.Key, entry provider.Entry, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.late
	s.late = func() error { return s.linStore.Set(ctx, k, entry, ttl) }
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

// leakyPrefix is a store that brings a key back after it was removed by a prefix.
type leakyPrefix struct{ linStore }

func (s leakyPrefix) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	k := provider.Key{Scope: scope, Name: "ab"}
	entry, found, err := s.Get(ctx, k)
	if err != nil {
		return 0, err
	}
	n, err := s.linStore.DeletePrefix(ctx, scope, prefix)
	if err == nil && found && strings.HasPrefix(k.Name, prefix) {
		err = s.Set(ctx, k, entry, provider.NoExpiry)
	}
	return n, err
}

// splitMany is a store whose GetMany takes one key's answer for another's.
type splitMany struct{ linStore }

func (s splitMany) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results, err := s.linStore.GetMany(ctx, keys)
	if len(results) > 1 {
		results[0], results[1] = results[1], results[0]
	}
	return results, err
}

// TestLinearizableFindsBrokenStores shows that the test above can fail, with and
// without evictions.
func TestLinearizableFindsBrokenStores(t *testing.T) {
	for name, broken := range map[string]func(linStore) linStore{
		"set that is late":       func(s linStore) linStore { return &lateSet{linStore: s} },
		"deletion that is lost":  func(s linStore) linStore { return &lostDelete{linStore: s} },
		"prefix that leaks":      func(s linStore) linStore { return leakyPrefix{s} },
		"batch that is mixed up": func(s linStore) linStore { return splitMany{s} },
	} {
		for _, evicts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, evicts %v", name, evicts), func(t *testing.T) {
				r := random(t)
				for range linRounds {
					if !linearizable(t, linModel(evicts), linHistory(t, r, broken(newStore(t, Options{}))), false) {
						return
					}
				}
				t.Error("nothing was found")
			})
		}
	}
}

// TestLinearizableModel checks the model of a deletion by prefix by histories of
// which it is known whether they are allowed.
func TestLinearizableModel(t *testing.T) {
	at := func(call, ret int64) linSpan { return linSpan{call: call, ret: ret} }
	set := func(call, ret int64, value int) porcupine.Operation {
		return at(call, ret).step(linSet, "ab", value, 0)
	}
	get := func(call, ret int64, found int) porcupine.Operation {
		return at(call, ret).step(linGet, "ab", 0, found)
	}
	for name, test := range map[string]struct {
		sweep  linSweep
		others []porcupine.Operation
		ok     bool
	}{
		"stored before, and gone":                 {linSweep{at(3, 4), "a"}, []porcupine.Operation{set(1, 2, 1), get(5, 6, 0)}, true},
		"stored before, and still there":          {linSweep{at(3, 4), "a"}, []porcupine.Operation{set(1, 2, 1), get(5, 6, 1)}, false},
		"not covered, and still there":            {linSweep{at(3, 4), "b"}, []porcupine.Operation{set(1, 2, 1), get(5, 6, 1)}, true},
		"not covered, and gone":                   {linSweep{at(3, 4), "b"}, []porcupine.Operation{set(1, 2, 1), get(5, 6, 0)}, false},
		"stored meanwhile, and removed":           {linSweep{at(1, 6), "a"}, []porcupine.Operation{set(2, 3, 1), get(7, 8, 0)}, true},
		"stored meanwhile, and still there":       {linSweep{at(1, 6), "a"}, []porcupine.Operation{set(2, 3, 1), get(7, 8, 1)}, true},
		"removed twice":                           {linSweep{at(3, 20), "a"}, []porcupine.Operation{set(1, 2, 1), get(4, 5, 0), set(6, 7, 2), get(8, 9, 2), get(10, 11, 0)}, true},
		"removed, and back":                       {linSweep{at(3, 20), "a"}, []porcupine.Operation{set(1, 2, 1), get(4, 5, 0), get(6, 7, 1)}, false},
		"stored meanwhile, and removed afterward": {linSweep{at(1, 6), "a"}, []porcupine.Operation{set(2, 3, 1), get(7, 8, 1), get(9, 10, 0)}, false},
		"stored afterwards, and gone":             {linSweep{at(1, 2), "a"}, []porcupine.Operation{set(3, 4, 1), get(5, 6, 0)}, false},
	} {
		history := append(test.sweep.steps(), test.others...)
		assert.Equal(t, test.ok, linearizable(t, linModel(false), history, false), "%s: linearizable", name)
	}
}
