package redisprovider

import (
	"context"
	"fmt"
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
	if p.waitReplicas == 0 {
		return p.run(ctx, n, next)
	}
	return p.runBy(ctx, route{send: p.sendConfirmed, load: p.load}, n, next)
}

// sendConfirmed sends the calls of each master on one connection, followed by
// WAIT. A failover in between breaks the connection, so no other master can
// confirm a removal that it does not have.
//
// Redis waits for the last write of the connection. A removal that removes nothing
// is not a write; nor is the retry of a removal that too few replicas had
// confirmed. Therefore another write goes before WAIT.
func (p *Provider) sendConfirmed(ctx context.Context, calls []call, commands []once) {
	if p.server != nil {
		p.sendAndWait(ctx, p.server, calls[0].firstKey(), commands)
		return
	}
	type part struct {
		key      string
		commands []once
	}
	parts := make(map[*redis.Client]*part)
	for i, c := range calls {
		master, err := p.cluster.MasterForKey(ctx, c.firstKey())
		if err != nil {
			commands[i].SetErr(err)
			continue
		}
		if parts[master] == nil {
			parts[master] = &part{key: c.firstKey()}
		}
		parts[master].commands = append(parts[master].commands, commands[i])
	}
	var all sync.WaitGroup
	for master, part := range parts {
		all.Go(func() {
			returned := false
			defer func() {
				failure := clientFailure(recover())
				for i := 0; i < len(part.commands) && !returned; i++ {
					part.commands[i].SetErr(failure) // nobody knows what it has done
				}
			}()
			p.sendAndWait(ctx, master, part.key, part.commands)
			returned = true
		})
	}
	all.Wait()
	for _, command := range commands {
		if command.Err() != nil {
			p.cluster.ReloadState(ctx) // the slot may have moved
			return
		}
	}
}

// sendAndWait sends commands to a master and waits for its replicas. The master
// has the slot of key.
func (p *Provider) sendAndWait(ctx context.Context, client pipeliner, key string, commands []once) {
	wait := once{redis.NewCmd(ctx, "wait", p.waitReplicas, p.waitTimeout.Milliseconds())}
	bucket := key[:strings.Index(key, "}:")+len("}:")]
	touched := once{redis.NewCmd(ctx, "eval", touch, 1, bucket+"w")}
	sendAll(ctx, client, append(append([]once(nil), commands...), touched, wait))
	have, err := wait.Int()
	if err == nil {
		err = touched.Err()
	}
	if err == nil && have < p.waitReplicas {
		err = fmt.Errorf("%d replicas have it after %v, %d are wanted", have, p.waitTimeout, p.waitReplicas)
	}
	if err == nil {
		return
	}
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
	way := route{
		send: func(ctx context.Context, calls []call, commands []once) {
			if confirm && p.waitReplicas > 0 {
				p.sendAndWait(ctx, conn, calls[0].firstKey(), commands)
			} else {
				sendAll(ctx, conn, commands)
			}
		},
		load: func(ctx context.Context) error { return p.loadBy(ctx, conn) },
	}
	return p.runBy(ctx, way, n, next)
}
