package redisprovider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// touch is a write that always succeeds, even on a server that is out of memory: a
// script may store after it has removed something, or has tried to.
const touch = "redis.call('UNLINK', KEYS[1]) redis.call('SET', KEYS[1], '', 'PX', 1000) return 1"

// runConfirmed is run for removals and holds. With [Options.WaitReplicas], a call
// fails unless so many replicas have confirmed it.
func (p *Provider) runConfirmed(ctx context.Context, n int, next func(i int) call) []once {
	return p.runBy(ctx, p.anyRoute(true), n, next)
}

// sendConfirmed sends the calls of each master on one connection, followed by
// WAIT. A failover in between breaks the connection, so no other master can
// confirm a removal that it does not have. Calls that a node redirects are sent
// once more, to the node that it names.
func (p *Provider) sendConfirmed(ctx context.Context, calls []call, commands []once) {
	if p.server != nil {
		p.sendAndWait(ctx, &confirmation{to: p.server, calls: calls, commands: commands})
		return
	}
	parts := make(map[*redis.Client]*confirmation)
	for i, c := range calls {
		master, err := p.cluster.MasterForKey(ctx, c.firstKey())
		if err != nil {
			commands[i].SetErr(err)
			continue
		}
		part := addTo(parts, master)
		part.to = master
		part.add(c, commands[i], i)
	}
	p.sendParts(ctx, slices.Collect(maps.Values(parts)))
	again := p.redirected(ctx, calls, commands)
	p.sendParts(ctx, again)
	for _, part := range again {
		for i, at := range part.at {
			commands[at] = part.commands[i]
		}
	}
	for _, command := range commands {
		if command.Err() != nil {
			p.cluster.ReloadState(ctx) // the slot may have moved
			return
		}
	}
}

// A confirmation is what is sent to one master, for its replicas to confirm.
type confirmation struct {
	to       pipeliner
	calls    []call
	commands []once
	at       []int // of each command, in all that is sent
	asking   bool  // the master is about to get the slots of the keys
}

func (c *confirmation) add(one call, command once, at int) {
	c.calls, c.commands, c.at = append(c.calls, one), append(c.commands, command), append(c.at, at)
}

// addTo returns the confirmation of a key, which may be new.
func addTo[K comparable](parts map[K]*confirmation, key K) *confirmation {
	if parts[key] == nil {
		parts[key] = &confirmation{}
	}
	return parts[key]
}

// sendParts sends each part to its master, all at the same time.
func (p *Provider) sendParts(ctx context.Context, parts []*confirmation) {
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() {
			if err := safely(func() error { p.sendAndWait(ctx, part); return nil }); err != nil {
				failAll(part.commands, err)
			}
		})
	}
	all.Wait()
}

// redirected returns what nodes have redirected, as new commands for the masters that they named. A
// node without slots is not known to the client: what is redirected to it stays as it is.
func (p *Provider) redirected(ctx context.Context, calls []call, commands []once) (parts []*confirmation) {
	type target struct {
		addr   string
		asking bool
	}
	targets := make(map[target]*confirmation)
	for i, command := range commands {
		if addr, ok := redis.IsAskError(command.Err()); ok {
			addTo(targets, target{addr, true}).add(calls[i], calls[i].cmd(ctx), i)
		} else if addr, ok := redis.IsMovedError(command.Err()); ok {
			addTo(targets, target{addr, false}).add(calls[i], calls[i].cmd(ctx), i)
		}
	}
	if len(targets) == 0 {
		return nil
	}
	var mu sync.Mutex // guards parts
	err := p.onMasters(ctx, func(_ context.Context, master server) error {
		mu.Lock()
		defer mu.Unlock()
		for _, asking := range []bool{true, false} {
			if part := targets[target{master.Options().Addr, asking}]; part != nil {
				part.to, part.asking = master, asking
				parts = append(parts, part)
			}
		}
		return nil
	})
	if err != nil {
		return nil // what was redirected has failed
	}
	return parts
}

// sendAndWait sends commands to a master and waits for its replicas.
//
// Redis waits for the last write of the connection. A removal that removes nothing
// is not a write; nor is the retry of a removal that too few replicas had
// confirmed. Therefore other writes go before WAIT, one for each bucket. On a node that a slot is
// leaving, those for its buckets are redirected. But what such a node has executed has removed something:
// it redirects commands for keys that it does not have.
func (p *Provider) sendAndWait(ctx context.Context, c *confirmation) {
	var send, touches []once
	asked := func(command once) {
		if c.asking {
			send = append(send, once{redis.NewCmd(ctx, "asking")})
		}
		send = append(send, command)
	}
	for _, command := range c.commands {
		asked(command)
	}
	for _, bucket := range bucketsOfCalls(c.calls) {
		touched := once{redis.NewCmd(ctx, "eval", touch, 1, bucket+"w")}
		touches = append(touches, touched)
		asked(touched)
	}
	wait := once{redis.NewCmd(ctx, "wait", p.waitReplicas, p.waitTimeout.Milliseconds())}
	sendAll(ctx, c.to, append(send, wait))
	have, err := wait.Int()
	if err == nil {
		err = touchError(touches)
	}
	if err == nil && have < p.waitReplicas {
		err = fmt.Errorf("%d replicas have it after %v, %d are wanted", have, p.waitTimeout, p.waitReplicas)
	}
	if err != nil {
		failAll(c.commands, err)
	}
}

// touchError returns nil if a write has succeeded, or if all were redirected.
func touchError(touches []once) (err error) {
	for _, touched := range touches {
		_, asked := redis.IsAskError(touched.Err())
		_, moved := redis.IsMovedError(touched.Err())
		switch {
		case touched.Err() == nil:
			return nil
		case !asked && !moved:
			err = touched.Err()
		}
	}
	return err
}

// bucketsOfCalls returns the buckets that the keys of calls are in.
func bucketsOfCalls(calls []call) []string {
	var buckets []string
	for _, c := range calls {
		key := c.firstKey()
		if b := key[:strings.Index(key, "}:")+len("}:")]; !slices.Contains(buckets, b) {
			buckets = append(buckets, b)
		}
	}
	return buckets
}

// failAll has commands fail that have not failed yet.
func failAll(commands []once, err error) {
	for _, command := range commands {
		if command.Err() == nil {
			command.SetErr(err)
		}
	}
}

// runOn is run, or runConfirmed if confirm is set, for keys of the master behind
// conn. It uses no other connection: a small pool may have none while conn is in
// use.
func (p *Provider) runOn(ctx context.Context, conn *redis.Conn, confirm bool, n int, next func(i int) call) []once {
	return p.runBy(ctx, p.routeOn(conn, confirm), n, next)
}
