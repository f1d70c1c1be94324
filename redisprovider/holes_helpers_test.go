package redisprovider_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

// The tests named TestHole are one for each row of docs/holes.md: ways in which
// processes that share a server come to read or store what an invalidation has
// made stale. Each builds its interleaving with gates, never with time, and was
// seen to fail without the mechanism that closes the hole.

// patience bounds what takes milliseconds; a loaded machine needs longer.
var patience = proofs.Patience()

// storePatience is patience as an option of stores and caches. It is shorter than the timeouts of the clients, which would
// otherwise decide.
const storePatience = 20 * time.Second

// holeScope is the scope of all of these tests.
const holeScope = "s"

// A world is a source of truth and the server that processes share.
type world struct {
	*redistest.Server

	t      *testing.T
	mu     sync.Mutex // guards following
	values map[string]string
}

func newWorld(t *testing.T, args ...string) *world {
	t.Helper()
	return &world{t: t, Server: redistest.StartReal(t, redistest.Options{Args: args}), values: make(map[string]string)}
}

// write changes the source.
func (w *world) write(name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.values[name] = value
}

func (w *world) current(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.values[name]
}

// A loader is a load function.
type loader = func(ctx context.Context) (string, error)

// load returns a load function that reads the source.
func (w *world) load(name string) loader {
	return func(context.Context) (string, error) { return w.current(name), nil }
}

// loadSlowly returns a load function that reads the source and then waits at a
// gate.
func (w *world) loadSlowly(name string, g *gate) loader {
	return func(context.Context) (string, error) {
		value := w.current(name)
		g.pass()
		return value, nil
	}
}

// raw returns what is stored under the key of a name: "" if nothing, "lease", or
// the value.
func (w *world) raw(p *proc, name string) string {
	w.t.Helper()
	return w.rawOn(w.Server, p, name)
}

func (w *world) rawOn(s *redistest.Server, p *proc, name string) string {
	w.t.Helper()
	frame, ok := s.Do("GET", p.store.KeyOf(key(holeScope, name))).(string)
	switch {
	case !ok:
		return ""
	case frame[3] == 3: //nolint:mnd // the kind of a lease
		return "lease"
	default:
		value := strings.TrimSuffix(frame, `"`)
		return value[strings.LastIndex(value, `"`)+1:]
	}
}

func (w *world) wantRaw(p *proc, name, want string) {
	w.t.Helper()
	assert.Equal(w.t, want, w.raw(p, name), "what the server has under %s", name)
}

// procOptions configure a proc.
type procOptions struct {
	name   string // of the scope
	store  redisprovider.Options
	cache  readthrough.Options
	scope  readthrough.ScopeOptions
	client func(*redis.Options)
}

// A proc stands for a process: it has a client, a store and a cache of its own,
// and a proxy between it and the server.
type proc struct {
	*readthrough.CachedScope

	t     *testing.T
	store *redisprovider.Provider
	proxy *redistest.Proxy // nil on a cluster
	wire  *wire
	due   bool // its entries are due as soon as they are stored
}

// proc starts a process. Nothing in it ends by time, unless edit says so: a lease
// lasts for an hour, and a call for longer than any test.
func (w *world) proc(edit ...func(*procOptions)) *proc {
	w.t.Helper()
	o := newProcOptions(edit)
	proxy := redistest.NewProxy(w.t, w.Addr())
	p := newProc(w.t, newServerClient(w.t, proxy.Addr(), o.client), o)
	p.proxy = proxy
	return p
}

func newProcOptions(edit []func(*procOptions)) *procOptions {
	o := &procOptions{
		name: holeScope,
		cache: readthrough.Options{
			ProviderTimeout:   time.Minute,
			InvalidateTimeout: time.Minute,
			BreakerFailures:   -1,
			LeaseTTL:          time.Hour,
			LeaseWait:         time.Minute,
			OnError:           func(*readthrough.OpError) {},
		},
		scope:  readthrough.ScopeOptions{TTL: time.Hour},
		client: func(*redis.Options) {},
	}
	for _, e := range edit {
		e(o)
	}
	return o
}

func newProc(t *testing.T, client redis.UniversalClient, o *procOptions) *proc {
	t.Helper()
	wire := &wire{}
	client.AddHook(wire)
	store := newProvider(t, client, o.store)
	cache, err := readthrough.New(store, o.cache)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() }) // some servers are gone by then
	scope, err := cache.Scope(o.name, o.scope)
	require.NoError(t, err)
	return &proc{CachedScope: scope, t: t, store: store, wire: wire, due: o.scope.TTL == dueTTL}
}

// dueTTL is the TTL of scopes whose entries are due as soon as they are stored.
const dueTTL = time.Millisecond

// loading returns load. If the entries of the scope are due as soon as they are stored, it says so.
func (p *proc) loading(name string, load loader) loader {
	if !p.due {
		return load
	}
	return func(ctx context.Context) (string, error) {
		readthrough.LoadOf(ctx, name).SetTTL(1)
		return load(ctx)
	}
}

// brief makes a process wait for leases for a moment only.
func brief(o *procOptions) { o.cache.LeaseWait = time.Millisecond }

// withFence makes a process bind what it stores to the run of the server.
func withFence(o *procOptions) { o.store.FenceByServer = true }

// severed is for a process that is cut off from the server in the test: its client
// reports a broken connection at once.
func severed(o *procOptions) { o.client = resigned }

// cutOff cuts a process off from the server.
func (p *proc) cutOff() {
	p.proxy.Refuse(true)
	p.proxy.CutAll()
}

// reconnect ends what cutOff began.
func (p *proc) reconnect() { p.proxy.Refuse(false) }

// lose makes call, loses what it sends of a kind, and breaks the connection. It
// returns the error of the call. What is sent again is lost too, until heal is
// called, which returns what was lost.
func (p *proc) lose(op string, call func() error) (heal func() *redistest.Tap, err error) {
	p.t.Helper()
	tap := p.proxy.Withhold(is(op))
	called := make(chan answer, 1)
	go func() { called <- answer{err: call()} }()
	tap.Wait(p.t, 1)
	p.proxy.CutAll()
	heal = func() *redistest.Tap {
		tap.Stop()
		p.proxy.CutAll() // so that nothing waits for an answer
		return tap
	}
	return heal, await(p.t, called).err
}

// An answer is what a call returned.
type answer struct {
	value string
	err   error
}

// begin begins a read.
func (p *proc) begin(name string, load loader) <-chan answer {
	answers := make(chan answer, 1)
	ctx := p.t.Context()
	go func() {
		value, err := readthrough.Wrap(ctx, p.CachedScope, name, p.loading(name, load))
		answers <- answer{value, err}
	}()
	return answers
}

// beginMany begins a bulk read of one key.
func (p *proc) beginMany(name string, load loader) <-chan answer {
	answers := make(chan answer, 1)
	ctx := p.t.Context()
	go func() {
		values, err := readthrough.WrapMany(ctx, p.CachedScope, []string{name}, func(id string) string { return id },
			func(ctx context.Context, ids []string) (map[string]string, error) {
				value, err := p.loading(name, load)(ctx)
				return map[string]string{ids[0]: value}, err
			})
		answers <- answer{values[name], err}
	}()
	return answers
}

// await returns the answer of a call.
func await(t *testing.T, answers <-chan answer) answer {
	t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(patience):
		t.Fatal("a call does not return")
		return answer{}
	}
}

// wantAnswer checks what a read returned.
func wantAnswer(t *testing.T, who string, answers <-chan answer, want string) {
	t.Helper()
	a := await(t, answers)
	assert.NoError(t, a.err, "%s gets", who)
	assert.Equal(t, want, a.value, "%s gets", who)
}

// wantSoon is wantAnswer for a call that must return although g is closed. If it
// does not, that is an error, and g is opened to see what comes.
func wantSoon(t *testing.T, who string, answers <-chan answer, want string, g *gate) {
	t.Helper()
	select {
	case a := <-answers:
		assert.NoError(t, a.err, "%s gets", who)
		assert.Equal(t, want, a.value, "%s gets", who)
	case <-time.After(patience):
		t.Errorf("%s waits for somebody who began before", who)
		g.open()
		wantAnswer(t, who, answers, want)
	}
}

// wantRead reads a key whose load is that of the source.
func (p *proc) wantRead(w *world, who, name, want string) {
	p.t.Helper()
	wantAnswer(p.t, who, p.begin(name, w.load(name)), want)
}

// invalidate invalidates a key, which must be confirmed.
func (p *proc) invalidate(names ...string) {
	p.t.Helper()
	require.NoError(p.t, p.Invalidate(p.t.Context(), names...))
}

func (p *proc) invalidatePrefix(prefix string) (removed int) {
	p.t.Helper()
	removed, err := p.InvalidatePrefix(p.t.Context(), prefix)
	require.NoError(p.t, err)
	return removed
}

// wantPending checks that an invalidation was not confirmed.
func wantPending(t *testing.T, err error) {
	t.Helper()
	assert.ErrorIs(t, err, readthrough.ErrInvalidationPending, "the invalidation returns")
}

// waitJoined waits until n reads wait for the load of another.
func (p *proc) waitJoined(n int64) {
	p.t.Helper()
	eventually(p.t, "a read to join a load", func() bool { return p.Stats().Joined >= n })
}

// waitSettled waits until nothing is pending.
func (p *proc) waitSettled() {
	p.t.Helper()
	eventually(p.t, "the pending invalidations", func() bool { return p.Stats().Pending == 0 })
}

// eventually polls until ok, or ends the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		require.False(t, time.Now().After(deadline), "gave up waiting for %s", what)
	}
}

// A gate holds up what passes it until it is opened.
type gate struct {
	t                   *testing.T
	reached, opened     chan struct{}
	reachOnce, openOnce sync.Once
}

// newGate returns a closed gate, which the end of the test opens.
func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, reached: make(chan struct{}), opened: make(chan struct{})}
	t.Cleanup(g.open)
	return g
}

// pass is called by what passes the gate.
func (g *gate) pass() {
	g.reachOnce.Do(func() { close(g.reached) })
	<-g.opened
}

// wait waits until something is at the gate.
func (g *gate) wait() {
	g.t.Helper()
	select {
	case <-g.reached:
	case <-time.After(patience):
		g.t.Fatal("nothing comes to the gate")
	}
}

func (g *gate) open() { g.openOnce.Do(func() { close(g.opened) }) }

// A wire is the network between a process and the server, where single commands
// and answers are held up.
type wire struct {
	mu    sync.Mutex // guards following
	stops []*stop
}

// A stop is where the next command of a kind is held up.
type stop struct {
	op     string
	answer bool // the answer is held up, and not the request
	gate   *gate
}

// holdRequest holds up the next command of a kind, before it is sent.
func (p *proc) holdRequest(op string) *gate { return p.wire.stop(p.t, op, false) }

// holdAnswer holds up the answer to the next command of a kind, after it was
// executed.
func (p *proc) holdAnswer(op string) *gate { return p.wire.stop(p.t, op, true) }

func (w *wire) stop(t *testing.T, op string, answer bool) *gate {
	t.Helper()
	s := &stop{op: op, answer: answer, gate: newGate(t)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stops = append(w.stops, s)
	return s.gate
}

// pass holds a command up if there is a stop for it, which is used up.
func (w *wire) pass(op string, answer bool) {
	if g := w.take(op, answer); g != nil {
		g.pass()
	}
}

func (w *wire) take(op string, answer bool) *gate {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.stops {
		if s.op == op && s.answer == answer {
			w.stops = slices.Delete(w.stops, i, i+1)
			return s.gate
		}
	}
	return nil
}

// DialHook implements [redis.Hook].
func (w *wire) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (w *wire) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		op := opOf(wireArgs(command))
		w.pass(op, false)
		err := next(ctx, command)
		w.pass(op, true)
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook]. A pipeline is known by its first command, such as the
// UNLINK of a removal, which its announcement follows.
func (w *wire) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		op := opOf(wireArgs(commands[0]))
		w.pass(op, false)
		err := next(ctx, commands)
		w.pass(op, true)
		return err
	}
}

// wireArgs returns a command as the server gets it, as far as opOf looks.
func wireArgs(command redis.Cmder) []string {
	args := make([]string, 0, len(command.Args()))
	for _, arg := range command.Args() {
		switch arg := arg.(type) {
		case string:
			args = append(args, arg)
		case []byte:
			args = append(args, string(arg))
		case int:
			args = append(args, strconv.Itoa(arg))
		default:
			args = append(args, "")
		}
	}
	return args
}

// The kinds of commands that the store sends.
const (
	opAcquire = "acquire"
	opRefresh = "refresh"
	opFill    = "fill"
	opRelease = "release"
	opRenew   = "renew"
	opAbandon = "abandon"
	opSet     = "set"
	opFenced  = "fenced get"
	opHold    = "hold"
	opPrefix  = "prefix"
	opList    = "list"
	opRebuild = "rebuild"
	opGet     = "get"
	opUnlink  = "unlink"
	opUnhold  = "zrem"
	opScan    = "scan"
	opMarker  = "marker"
)

// opOf tells what a command does. Scripts are known by what they are given.
func opOf(args []string) string {
	name := strings.ToLower(args[0])
	if len(args) > 1 && strings.HasSuffix(args[1], "{#}:layout") {
		return opMarker
	}
	if name != "evalsha" || len(args) < 4 {
		return name
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || len(args) < 3+n {
		return name
	}
	marks := ""
	for _, k := range args[3 : 3+n] {
		if _, rest, ok := strings.Cut(k, "}:"); ok && rest != "" && rest[0] != '-' {
			marks += rest[:1]
		}
	}
	argv := args[3+n:]
	switch {
	case marks == "vhpi" && argv[1][3] == 3 && len(argv) == 6: //nolint:mnd // the kind of a lease
		return opRefresh
	case marks == "vhpi" && argv[1][3] == 3: //nolint:mnd // the kind of a lease
		return opAcquire
	case marks == "vhpi":
		return opSet
	case marks == "vi" && len(argv) == 3: //nolint:mnd // without a frame to store
		return opRenew
	case marks == "vi":
		return opFill
	case strings.Trim(marks, "v") == "" && len(argv) == 0:
		return opFenced
	case marks == "v" && len(argv[0]) == 16: //nolint:mnd // a part of a token
		return opAbandon
	case marks == "v":
		return opRelease
	case marks == "hv" || marks == "p":
		return opHold
	case marks == "i" && len(argv) == 4:
		return opPrefix
	case marks == "i" && len(argv) == 3 && strings.HasPrefix(argv[0], "["):
		return opList
	case marks == "i":
		return opRebuild
	default:
		return name
	}
}

// is matches commands of a kind, for a proxy.
func is(op string) func(redistest.Command) bool {
	return func(c redistest.Command) bool { return len(c.Args) > 0 && opOf(c.Args) == op }
}
