package redisprovider

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The sources of the scripts. Shared parts come before the scripts that use them.
var (
	//go:embed lua/fence_off.lua
	fenceOffPart string
	//go:embed lua/fence_on.lua
	fenceOnPart string
	//go:embed lua/replicas.lua
	replicasPart string
	//go:embed lua/proof.lua
	proofPart string
	//go:embed lua/frame.lua
	framePart string
	//go:embed lua/index.lua
	indexPart string
	//go:embed lua/leased.lua
	leasedPart string
	//go:embed lua/readable.lua
	readablePart string
	//go:embed lua/held.lua
	heldPart string
	//go:embed lua/store.lua
	storePart string
	//go:embed lua/grant.lua
	grantPart string
	//go:embed lua/keep.lua
	keepPart string

	//go:embed lua/acquire.lua
	acquireSource string
	//go:embed lua/refresh.lua
	refreshSource string
	//go:embed lua/extend.lua
	extendSource string
	//go:embed lua/fill.lua
	fillSource string
	//go:embed lua/release.lua
	releaseSource string
	//go:embed lua/renew.lua
	renewSource string
	//go:embed lua/abandon.lua
	abandonSource string
	//go:embed lua/set.lua
	setSource string
	//go:embed lua/get.lua
	getSource string
	//go:embed lua/hold.lua
	holdSource string
	//go:embed lua/prefix.lua
	prefixSource string
	//go:embed lua/list.lua
	listSource string
	//go:embed lua/page.lua
	pageSource string
	//go:embed lua/rebuild_begin.lua
	rebuildBeginSource string
	//go:embed lua/rebuild_add.lua
	rebuildAddSource string
	//go:embed lua/rebuild_end.lua
	rebuildEndSource string

	//go:embed lua/record.lua
	recordPart string
	//go:embed lua/announce.lua
	announceSource string
	//go:embed lua/beat.lua
	beatSource string
	//go:embed lua/acknowledge.lua
	acknowledgeSource string
	//go:embed lua/leave.lua
	leaveSource string
	//go:embed lua/roll.lua
	rollSource string
	//go:embed lua/getttl.lua
	getTTLSource string
)

// A script runs on the server as one step. It has no first line "#!lua": a server
// that is out of memory runs such scripts as long as they only remove.
type script struct{ text, sha string }

func newScript(parts ...string) *script {
	text := strings.Join(parts, "\n")
	sum := sha1.Sum([]byte(text)) //nolint:gosec // what Redis names scripts by
	return &script{text: text, sha: hex.EncodeToString(sum[:])}
}

// scripts are the scripts of a store.
type scripts struct {
	acquire, refresh                     *script
	fill, extend, renew                  *script
	release, abandon, set, get, prove    *script
	hold, prefix, list, page             *script
	rebuildBegin, rebuildAdd, rebuildEnd *script
	announce, beat, acknowledge          *script
	leave, roll, getTTL, proveTTL        *script
}

// newScripts returns the scripts of a store with or without the fence. With it, those that
// read or store want so many replicas.
func newScripts(fence bool, replicas int) scripts {
	fencePart := fenceOffPart
	if fence {
		fencePart = fenceOnPart
	}
	sole := fencePart // of what there is one master at a time for
	if fence && replicas > 0 {
		sole += fmt.Sprintf("\nlocal NEED = %d\n%s", replicas, replicasPart)
	}
	return scripts{
		acquire:      newScript(sole, framePart, indexPart, heldPart, storePart, grantPart, acquireSource),
		refresh:      newScript(sole, framePart, leasedPart, readablePart, indexPart, heldPart, storePart, grantPart, keepPart, refreshSource),
		fill:         newScript(sole, framePart, leasedPart, indexPart, storePart, fillSource),
		extend:       newScript(sole, framePart, leasedPart, indexPart, storePart, extendSource),
		release:      newScript(fencePart, framePart, leasedPart, releaseSource),
		renew:        newScript(fencePart, framePart, leasedPart, indexPart, renewSource),
		abandon:      newScript(fencePart, framePart, leasedPart, abandonSource),
		set:          newScript(sole, indexPart, heldPart, storePart, setSource),
		get:          newScript("local SPARE = 0", sole, getSource),
		prove:        newScript(proofPart, fencePart, getSource),
		hold:         newScript(holdSource),
		prefix:       newScript(fencePart, framePart, indexPart, prefixSource),
		list:         newScript(indexPart, listSource),
		page:         newScript(fencePart, framePart, indexPart, pageSource),
		rebuildBegin: newScript(indexPart, rebuildBeginSource),
		rebuildAdd:   newScript(indexPart, rebuildAddSource),
		rebuildEnd:   newScript(indexPart, rebuildEndSource),
		announce:     newScript(recordPart, announceSource),
		beat:         newScript(sole, recordPart, beatSource),
		acknowledge:  newScript(acknowledgeSource),
		leave:        newScript(leaveSource),
		roll:         newScript(recordPart, rollSource),
		getTTL:       newScript("local SPARE = 0", sole, getTTLSource),
		proveTTL:     newScript(proofPart, fencePart, getTTLSource),
	}
}

func (s *scripts) all() []*script {
	return []*script{
		s.acquire, s.refresh,
		s.fill, s.extend, s.renew,
		s.release, s.abandon, s.set, s.get, s.prove,
		s.hold, s.prefix, s.list, s.page,
		s.rebuildBegin, s.rebuildAdd, s.rebuildEnd,
		s.announce, s.beat, s.acknowledge, s.leave, s.roll, s.getTTL, s.proveTTL,
	}
}

// A call is what is to be sent: a script, or a command without one.
type call struct {
	script *script
	keys   []string
	args   []any // of a command: its name and all arguments
	// behind says that the call has to come after those before it. If one of them is sent again, so is this.
	behind bool

	bytes int // the size of the largest argument, approximately
}

// cmd returns the call as a command that is sent once. If the answer does not
// come, the command may still be on its way, and most scripts must not run twice.
func (c call) cmd(ctx context.Context) once {
	if c.script == nil {
		return once{redis.NewCmd(ctx, c.args...)}
	}
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	args = append(args, "evalsha", c.script.sha, len(c.keys))
	for _, key := range c.keys {
		args = append(args, key)
	}
	cmd := redis.NewCmd(ctx, append(args, c.args...)...)
	cmd.SetFirstKeyPos(3) //nolint:mnd // behind the number of keys
	return once{cmd}
}

// firstKey returns the first key of the call. In a command without a script, it
// follows the name.
func (c call) firstKey() string {
	if c.script != nil {
		return c.keys[0]
	}
	return fmt.Sprint(c.args[1])
}

// run makes n calls in as few round trips as possible, on a cluster to all nodes
// at the same time, and returns their answers. next returns call i. If a server
// does not know a script, run loads the scripts and asks next again for the calls
// that did not run: next therefore creates whatever must not be sent twice, such
// as tokens.
func (p *Provider) run(ctx context.Context, n int, next func(i int) call) []once {
	return p.runBy(ctx, p.anyRoute(false), n, next)
}

// A route is a way to reach servers.
type route struct {
	// send sends calls as commands. There is at least one. Afterwards each
	// command has its own answer or error.
	send func(ctx context.Context, calls []call, commands []once)
	// load loads all scripts into the servers.
	load func(ctx context.Context) error
	// pin returns a route to one server; nil: this is one. Connections of a client may lead
	// to several servers: to the old and to the new master after a failover, for example. What
	// loads the scripts and what runs them have to reach the same one.
	pin func() (pinned route, done func())
}

// anyRoute is the route that lets the client choose the connections. With confirm,
// replicas have to confirm, as many as the options say.
func (p *Provider) anyRoute(confirm bool) route {
	way := route{send: p.send, load: p.load}
	if confirm && p.waitReplicas > 0 {
		way.send = p.sendConfirmed
	}
	if p.server != nil {
		way.pin = func() (route, func()) {
			conn := p.server.Conn()
			return p.routeOn(conn, confirm), func() { _ = conn.Close() } //nolint:errcheck // it goes back to its pool
		}
	}
	return way
}

// routeOn is the route of one connection.
func (p *Provider) routeOn(conn *redis.Conn, confirm bool) route {
	return route{
		send: func(ctx context.Context, calls []call, commands []once) {
			if confirm && p.waitReplicas > 0 {
				p.sendAndWait(ctx, &confirmation{to: conn, calls: calls, commands: commands})
			} else {
				sendAll(ctx, conn, commands)
			}
		},
		load: func(ctx context.Context) error { return p.loadBy(ctx, conn) },
	}
}

func (p *Provider) runBy(ctx context.Context, way route, n int, next func(i int) call) []once {
	answers := make([]once, n)
	for from := 0; from < n; {
		var calls []call
		for bytes := 0; from+len(calls) < n && len(calls) < maxBatch && bytes < maxBatchBytes; {
			c := next(from + len(calls))
			calls = append(calls, c)
			bytes += c.bytes
		}
		part := answers[from : from+len(calls)]
		p.runPart(ctx, way, calls, part, func(i int) call { return next(from + i) })
		from += len(calls)
	}
	return answers
}

// runPart makes calls in one round trip, or in three if the server does not know
// a script.
func (p *Provider) runPart(ctx context.Context, way route, calls []call, answers []once, next func(i int) call) {
	for i, c := range calls {
		answers[i] = c.cmd(ctx)
	}
	way.send(ctx, calls, answers)
	defer func() { p.noticeAny(ctx, answers) }()
	if !slices.ContainsFunc(answers, isUnknown) {
		return
	}
	if way.pin != nil {
		pinned, done := way.pin()
		defer done()
		way = pinned
	}
	loadErr := way.load(ctx)
	// Commands without a script are sent again too, so that calls on the same key
	// stay in order. That is safe: they only remove. So are calls that have to be behind others: to
	// announce twice is safe.
	var again []call
	var at []int
	var commands []once
	for i, c := range calls {
		if c.script == nil || c.behind || isUnknown(answers[i]) {
			c = next(i)
			again, at, commands = append(again, c), append(at, i), append(commands, c.cmd(ctx))
		}
	}
	way.send(ctx, again, commands)
	for i, command := range commands {
		answers[at[i]] = command
		if loadErr != nil && isUnknown(command) {
			command.SetErr(loadErr)
		}
	}
}

// isUnknown reports whether the server does not know the script.
func isUnknown(answer once) bool { return redis.HasErrorPrefix(answer.Err(), "NOSCRIPT") }

// send lets the client choose the node of each key.
func (p *Provider) send(ctx context.Context, _ []call, commands []once) {
	if len(commands) > 1 {
		sendAll(ctx, p.client, commands)
		return
	}
	if err := p.client.Process(ctx, commands[0]); err != nil && commands[0].Err() == nil {
		commands[0].SetErr(err) // a hook of the client ended it
	}
}

// A pipeliner is a client or one of its connections.
type pipeliner interface{ Pipeline() redis.Pipeliner }

// sendAll sends commands in a pipeline.
func sendAll(ctx context.Context, client pipeliner, commands []once) {
	pipe := client.Pipeline()
	for _, command := range commands {
		_ = pipe.Process(ctx, command) //nolint:errcheck // only queues
	}
	_, err := pipe.Exec(ctx)
	if err == nil || errors.Is(err, redis.Nil) {
		return
	}
	for _, command := range commands {
		if command.Err() != nil {
			return
		}
	}
	for _, command := range commands { // the pipeline was not sent, or a hook of the client ended it
		command.SetErr(err)
	}
}

// load loads the scripts into every master that answers.
func (p *Provider) load(ctx context.Context) error {
	return p.onMasters(ctx, func(ctx context.Context, master server) error { return p.loadBy(ctx, master) })
}

// loadBy loads the scripts into one server.
func (p *Provider) loadBy(ctx context.Context, client pipeliner) error {
	pipe := client.Pipeline()
	for _, s := range p.scripts.all() {
		pipe.ScriptLoad(ctx, s.text)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// onMasters calls f for the client of each master, at the same time.
func (p *Provider) onMasters(ctx context.Context, f func(ctx context.Context, master server) error) error {
	if p.server != nil {
		return safely(func() error { return f(ctx, p.server) })
	}
	return p.cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		return safely(func() error { return f(ctx, master) }) // in a goroutine of the client
	})
}

// serverSays reports whether err is an error of the server of the kind word, such
// as "OOM". Before Redis 7, the error of a command in a script is wrapped in
// another one, so word need not come first.
func serverSays(err error, word string) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.Contains(answer.Error(), word)
}
