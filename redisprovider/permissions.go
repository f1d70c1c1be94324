package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// need is a command that the store needs, with arguments by which it does no harm. Its name is that of
// an ACL: "script|load".
type need struct {
	name string
	args []any
}

// needs returns what the user of this store has to be permitted, in an order in which the commands can be
// sent as they are: each key has the type that its commands need, and is gone at the end. The keys are
// the store's own, and no scope has a tag like theirs.
func (p *Provider) needs() []need {
	text, hash := p.prefix+"{#}:advise", p.prefix+"{#}:advise:near"
	soon := time.Now().Add(markerTTL).UnixMilli()
	list := []need{
		{"set", []any{"set", text, "", "px", markerTTL.Milliseconds()}},
		{"get", []any{"get", text}},
		{"mget", []any{"mget", text}},
		{"exists", []any{"exists", text}},
		{"getrange", []any{"getrange", text, 0, 0}},
		{"strlen", []any{"strlen", text}},
		{"type", []any{"type", text}},
		{"time", []any{"time"}},
		{"scan", []any{"scan", 0, "match", text, "count", 1}},
		{"evalsha", []any{"evalsha", p.scripts.set.sha, 0}},
		{"script|load", []any{"script", "load", p.scripts.set.text}},
		{"unlink", []any{"unlink", text}},
		{"zadd", []any{"zadd", text, 1, "m"}},
		{"persist", []any{"persist", text}},
		{"pexpireat", []any{"pexpireat", text, soon}},
		{"pexpire", []any{"pexpire", text, markerTTL.Milliseconds()}},
		{"pttl", []any{"pttl", text}},
		{"zscore", []any{"zscore", text, "m"}},
		{"zmscore", []any{"zmscore", text, "m"}},
		{"zcount", []any{"zcount", text, 0, 1}},
		{"zrange", []any{"zrange", text, 0, 0}},
		{"zrangebylex", []any{"zrangebylex", text, "-", "+"}},
		{"zrangebyscore", []any{"zrangebyscore", text, 0, 1}},
		{"zrandmember", []any{"zrandmember", text}},
		{"zremrangebylex", []any{"zremrangebylex", text, "[a", "[b"}},
		{"zremrangebyscore", []any{"zremrangebyscore", text, 2, 3}},
		{"zrem", []any{"zrem", text, "m"}},
	}
	if p.fence {
		list = append(list, need{"info", []any{"info", "server"}})
	}
	if p.waitReplicas > 0 {
		list = append(list, need{"eval", []any{"eval", "return 1", 0}}, need{"wait", []any{"wait", 0, 0}})
	}
	if p.cluster != nil {
		list = append(list, need{"cluster|nodes", []any{"cluster", "nodes"}}, need{"asking", []any{"asking"}})
	}
	if p.channel.Exists() {
		list = append(list,
			need{"hset", []any{"hset", hash, "f", 1}}, need{"pexpire", []any{"pexpire", hash, markerTTL.Milliseconds()}},
			need{"hget", []any{"hget", hash, "f"}}, need{"hmget", []any{"hmget", hash, "f"}},
			need{"hgetall", []any{"hgetall", hash}}, need{"hincrby", []any{"hincrby", hash, "f", 1}},
			need{"hdel", []any{"hdel", hash, "f"}}, need{"publish", []any{"publish", hash, ""}}, need{"info", []any{"info", "server"}})
	}
	return append(list, need{"unlink", []any{"unlink", text, hash}})
}

// denied is what a user lacks.
type denied struct {
	commands       []string
	keys, channels bool
}

// add adds what an answer of the server says: to a dry run or to the command itself.
func (d *denied) add(name, says string) {
	switch {
	case strings.Contains(says, "to run the"):
		if !slices.Contains(d.commands, "+"+name) {
			d.commands = append(d.commands, "+"+name)
		}
	case strings.Contains(says, "channel"):
		d.channels = true
	case strings.Contains(says, "key"):
		d.keys = true
	}
}

// rules returns the rules of an ACL that grant what is denied.
func (d *denied) rules(prefix string) string {
	rules := d.commands
	if d.channels {
		rules = append([]string{"&" + prefix + "*"}, rules...)
	}
	if d.keys {
		rules = append([]string{"~" + prefix + "*"}, rules...)
	}
	return strings.Join(rules, " ")
}

// advisePermissions returns what the user of the client should be permitted.
func (p *Provider) advisePermissions(ctx context.Context) ([]provider.Advice, error) {
	node, err := p.nodeOf(ctx, p.markerKey())
	if err != nil {
		return nil, fmt.Errorf("redisprovider: advise: %w", err)
	}
	user, err := node.Do(ctx, "acl", "whoami").Text()
	lacks, dry := denied{}, false
	if err == nil {
		lacks, dry, err = p.dryRun(ctx, node, user)
	} else if user = node.Options().Username; user == "" {
		user = "default"
	}
	if !dry && isAnswer(err) {
		lacks, err = p.try(ctx, node)
	}
	if err != nil {
		return nil, fmt.Errorf("redisprovider: advise: %w", err)
	}
	rules := lacks.rules(p.prefix)
	if rules == "" {
		return nil, nil
	}
	return []provider.Advice{{
		About:   "permissions",
		Problem: fmt.Sprintf("the user %q of the server lacks %s: what needs it fails, and is loaded by every read or stays pending", user, rules),
		Do:      fmt.Sprintf("ACL SETUSER %s %s", user, rules),
	}}, nil
}

// dryRun asks the server what a user may not do. can is false if the server does not answer that.
func (p *Provider) dryRun(ctx context.Context, node server, user string) (lacks denied, can bool, err error) {
	needs := p.needs()
	answers, err := p.sendNeeds(ctx, node, needs, func(n need) []any { return append([]any{"acl", "dryrun", user}, n.args...) })
	if err != nil {
		return lacks, false, err
	}
	for i, answer := range answers {
		says, err := answer.Text()
		if err != nil {
			return lacks, false, nil //nolint:nilerr // it has no dry run, or does not permit it
		}
		if says != "OK" {
			lacks.add(needs[i].name, says)
		}
	}
	return lacks, true, nil
}

// try sends the commands. What else they fail with says nothing about permissions.
func (p *Provider) try(ctx context.Context, node server) (lacks denied, err error) {
	needs := p.needs()
	answers, err := p.sendNeeds(ctx, node, needs, func(n need) []any { return n.args })
	for i, answer := range answers {
		if says := answer.Err(); serverSays(says, "NOPERM ") {
			lacks.add(needs[i].name, says.Error())
		}
	}
	return lacks, err
}

// sendNeeds sends a command for each need, in one pipeline. The error is one of the network.
func (*Provider) sendNeeds(ctx context.Context, node server, needs []need, args func(need) []any) ([]*redis.Cmd, error) {
	pipe := node.Pipeline()
	answers := make([]*redis.Cmd, len(needs))
	for i, n := range needs {
		answers[i] = pipe.Do(ctx, args(n)...)
	}
	_, err := pipe.Exec(ctx)
	for _, answer := range answers { // the first error may be that of a command
		if err := answer.Err(); err != nil && !isAnswer(err) && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	if isAnswer(err) || errors.Is(err, redis.Nil) {
		err = nil
	}
	return answers, err
}

// nodeOf returns the client of the master of a key.
func (p *Provider) nodeOf(ctx context.Context, key string) (server, error) {
	if p.server != nil {
		return p.server, nil
	}
	return p.cluster.MasterForKey(ctx, key)
}
