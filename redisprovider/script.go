package redisprovider

import (
	"context"
	"crypto/sha1" //nolint:gosec // what Redis names scripts by
	_ "embed"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The sources of the scripts. Parts come before the scripts that use them.
var (
	//go:embed lua/fence_off.lua
	fenceOffPart string
	//go:embed lua/fence_on.lua
	fenceOnPart string
	//go:embed lua/frame.lua
	framePart string
	//go:embed lua/index.lua
	indexPart string
	//go:embed lua/held.lua
	heldPart string
	//go:embed lua/store.lua
	storePart string

	//go:embed lua/acquire.lua
	acquireSource string
	//go:embed lua/fill.lua
	fillSource string
	//go:embed lua/release.lua
	releaseSource string
	//go:embed lua/set.lua
	setSource string
	//go:embed lua/get.lua
	getSource string
	//go:embed lua/hold.lua
	holdSource string
	//go:embed lua/prefix.lua
	prefixSource string
	//go:embed lua/rebuild_begin.lua
	rebuildBeginSource string
	//go:embed lua/rebuild_add.lua
	rebuildAddSource string
	//go:embed lua/rebuild_end.lua
	rebuildEndSource string
)

// A script runs on the server, all of it at once. It is of the kind without a
// first line "#!lua": the server lets those pass when it is out of memory as long
// as they only remove.
type script struct{ text, sha string }

func newScript(parts ...string) *script {
	text := strings.Join(parts, "\n")
	sum := sha1.Sum([]byte(text)) //nolint:gosec // what Redis names scripts by
	return &script{text: text, sha: hex.EncodeToString(sum[:])}
}

// scripts are those of a store.
type scripts struct {
	acquire, fill, release, set, get     *script
	hold, prefix                         *script
	rebuildBegin, rebuildAdd, rebuildEnd *script
}

func newScripts(fence bool) scripts {
	fencePart := fenceOffPart
	if fence {
		fencePart = fenceOnPart
	}
	return scripts{
		acquire:      newScript(fencePart, framePart, indexPart, heldPart, storePart, acquireSource),
		fill:         newScript(fencePart, indexPart, storePart, fillSource),
		release:      newScript(fencePart, releaseSource),
		set:          newScript(fencePart, indexPart, heldPart, storePart, setSource),
		get:          newScript(fencePart, getSource),
		hold:         newScript(holdSource),
		prefix:       newScript(fencePart, framePart, indexPart, prefixSource),
		rebuildBegin: newScript(indexPart, rebuildBeginSource),
		rebuildAdd:   newScript(indexPart, rebuildAddSource),
		rebuildEnd:   newScript(indexPart, rebuildEndSource),
	}
}

// A call is what is to be sent: a run of a script, or a command without one.
type call struct {
	script *script
	keys   []string
	args   []any // of a command: all of it

	bytes int // of the largest argument, about
}

// cmd returns the call as it is sent, once: when its answer does not come, it may
// still be under way, and most scripts do no good a second time.
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

// run makes n calls in as few round trips as it can, on a cluster to all nodes at
// the same time, and returns their answers. next returns the call of an index. It
// is asked again for calls that the server has not run because it does not know
// their script, after the script was loaded: so whatever must not be sent twice
// is made by next.
func (p *Provider) run(ctx context.Context, n int, next func(i int) call) []once {
	answers := make([]once, n)
	for from := 0; from < n; {
		from = p.runPart(ctx, answers, from, next)
	}
	return answers
}

// runPart makes the calls of a round trip, and returns the index of the first one
// that it left out.
func (p *Provider) runPart(ctx context.Context, answers []once, from int, next func(i int) call) int {
	to, bytes := from, 0
	unknown := make(map[string]*script)
	var calls []call
	for ; to < len(answers) && len(calls) < maxBatch && bytes < maxBatchBytes; to++ {
		c := next(to)
		calls = append(calls, c)
		answers[to] = c.cmd(ctx)
		bytes += c.bytes
	}
	p.send(ctx, answers[from:to])
	for i, c := range calls {
		if c.script != nil && redis.HasErrorPrefix(answers[from+i].Err(), "NOSCRIPT") {
			unknown[c.script.sha] = c.script
		}
	}
	if len(unknown) == 0 {
		return to
	}
	// Commands without a script are sent again too, so that calls on the same key
	// stay in order: only removals are such.
	loadErr := p.load(ctx, unknown)
	var again []once
	for i := from; i < to; i++ {
		if calls[i-from].script == nil || redis.HasErrorPrefix(answers[i].Err(), "NOSCRIPT") {
			answers[i] = next(i).cmd(ctx)
			again = append(again, answers[i])
		}
	}
	p.send(ctx, again)
	for _, answer := range again {
		if loadErr != nil && redis.HasErrorPrefix(answer.Err(), "NOSCRIPT") {
			answer.SetErr(loadErr)
		}
	}
	return to
}

// send sends commands. Each has its own error afterwards.
func (p *Provider) send(ctx context.Context, commands []once) {
	if len(commands) == 1 {
		if err := p.client.Process(ctx, commands[0]); err != nil && commands[0].Err() == nil {
			commands[0].SetErr(err)
		}
		return
	}
	pipe := p.client.Pipeline()
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
	for _, command := range commands { // the batch was not sent, or a hook of the client ended it
		command.SetErr(err)
	}
}

// load makes scripts known to every master that answers.
func (p *Provider) load(ctx context.Context, unknown map[string]*script) error {
	return p.onMasters(ctx, func(ctx context.Context, master server) error {
		var errs []error
		for _, s := range unknown {
			errs = append(errs, master.ScriptLoad(ctx, s.text).Err())
		}
		return errors.Join(errs...)
	})
}

// onMasters calls f with the client of each master, at the same time.
func (p *Provider) onMasters(ctx context.Context, f func(ctx context.Context, master server) error) error {
	if p.server != nil {
		return f(ctx, p.server)
	}
	return p.cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error { return f(ctx, master) })
}

// serverSays reports whether err is an error of the server of the kind that word
// names. Before Redis 7 that of a command in a script is wrapped in another.
func serverSays(err error, word string) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.Contains(answer.Error(), word)
}
