package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/provider"
)

// The record of the near caches is one key, and messages about it go over two channels, all with one hash
// tag, which no scope has: ':' is escaped in scopes. On a cluster it is in one slot, which is another one
// than that of the entries. So a removal on a cluster has two steps: it removes, and then announces. On one
// server, both are in one pipeline.

// nearTag follows the prefix in the names of the record and of the channels.
const nearTag = "{:near}:"

func (p *Provider) recordKey() string { return p.prefix + nearTag + "r" }

// removals is the channel of all members, and beats that of one.
func (p *Provider) removals() string           { return p.prefix + nearTag + "c" }
func (p *Provider) beats(member string) string { return p.prefix + nearTag + "b:" + member }

// members returns how this process reaches the record.
func (p *Provider) members() membership.Server {
	one := func(ctx context.Context, s *script, args ...any) (answer once, err error) {
		err = safely(func() error { // nobody calls: a panic of a hook of the client would end the process
			answer = p.run(ctx, 1, func(int) call { return call{script: s, keys: []string{p.recordKey()}, args: args} })[0]
			return told(answer.Err())
		})
		return answer, err
	}
	return membership.Server{
		Beat: func(ctx context.Context, b membership.Beat) error {
			_, err := one(ctx, p.scripts.beat, newToken(), p.beats(b.Member), b.Member, b.Number, upToMilliseconds(b.Lease), orNone(b.Epoch), b.Seen)
			return err
		},
		Ack: func(ctx context.Context, member, epoch string, seq int64) error {
			_, err := one(ctx, p.scripts.acknowledge, member, epoch, seq)
			return err
		},
		Remove: func(ctx context.Context, member, epoch string, stamp int64) error {
			_, err := one(ctx, p.scripts.leave, member, stamp, orNone(epoch))
			return err
		},
		Roll: func(ctx context.Context) (membership.Roll, error) {
			answer, err := one(ctx, p.scripts.roll)
			if err != nil {
				return membership.Roll{}, err
			}
			roll, _, err := readRoll(answer)
			return roll, err
		},
		Listen: func(ctx context.Context, member string, ready func(), deliver func(membership.Message)) error {
			return safely(func() error { return p.listen(ctx, member, ready, deliver) })
		},
	}
}

// upToMilliseconds rounds a lease up: the record must not have a shorter one than the member.
func upToMilliseconds(lease time.Duration) int64 {
	return (lease + time.Millisecond - 1).Milliseconds()
}

// orNone replaces an empty text: the parts of a message are separated by spaces.
func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Join implements [provider.Announcer].
func (p *Provider) Join(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error) {
	if p.closed.Load() {
		return nil, errClosed()
	}
	m, err := p.channel.Join(options, listener)
	if err != nil {
		return nil, fmt.Errorf("redisprovider: Join: %w", err)
	}
	return m, nil
}

// Announce implements [provider.Announcer]: one script.
func (p *Provider) Announce(ctx context.Context, removed provider.Removed) error {
	defer p.channel.Tell(removed)
	if err := p.usable(ctx); err != nil {
		return err
	}
	_, err := p.run(ctx, 1, func(int) call { return p.announcement(&removed) })[0].Result()
	if err != nil {
		return fmt.Errorf("redisprovider: announce: %w", told(err))
	}
	return nil
}

// announcement returns the call that announces removed.
func (p *Provider) announcement(removed *provider.Removed) call {
	existed := 0
	if p.channel.Exists() {
		existed = 1
	}
	return call{
		script: p.scripts.announce,
		keys:   []string{p.recordKey()},
		args:   []any{newToken(), existed, p.removals(), orNone(p.channel.Sender()), encodeRemoved(removed)},
	}
}

// announce announces what was removed, in a request of its own, and waits for the members.
func (p *Provider) announce(ctx context.Context, removed *provider.Removed) error {
	return p.await(ctx, p.run(ctx, 1, func(int) call { return p.announcement(removed) })[0])
}

// await waits for the members that the answer to an announcement names. Its callers pass its error to told.
func (p *Provider) await(ctx context.Context, answer once) error {
	at := time.Now()
	roll, exists, err := readRoll(answer)
	if err != nil {
		return fmt.Errorf("it is removed, and near caches are not told: %w", unquoted(err))
	}
	if !exists {
		return nil
	}
	return p.channel.Await(ctx, roll, at)
}

// runTold makes calls that remove, and on one server it announces what they remove in the same pipeline,
// behind them. announced is the answer to the announcement. It is empty if that is to be announced yet.
func (p *Provider) runTold(ctx context.Context, calls []call, removed *provider.Removed) (answers []once, announced once) {
	n := len(calls)
	if p.cluster != nil || p.waitReplicas > 0 {
		return p.runUntold(ctx, calls, removed)
	}
	answers = p.run(ctx, n+1, func(i int) call {
		if i == n {
			c := p.announcement(removed)
			c.behind = true // a server may know its script, and not those of the calls
			return c
		}
		return calls[i]
	})
	return answers[:n], answers[n]
}

// runUntold makes calls that remove, which are to be announced yet.
func (p *Provider) runUntold(ctx context.Context, calls []call, _ *provider.Removed) (answers []once, announced once) {
	return p.runConfirmed(ctx, len(calls), func(i int) call { return calls[i] }), once{}
}

// readRoll interprets the answer of announce.lua or roll.lua.
func readRoll(answer once) (roll membership.Roll, exists bool, err error) {
	found, err := answer.Result()
	if err != nil {
		return roll, false, err
	}
	if n, ok := found.(int64); ok && n == 0 {
		return roll, false, nil
	}
	parts, err := answer.StringSlice()
	if err != nil || len(parts) < 3 || len(parts)%2 == 0 {
		return roll, false, errAnswer
	}
	seq, seqErr := strconv.ParseInt(parts[1], 10, 64)
	age, ageErr := strconv.ParseInt(parts[2], 10, 64)
	if seqErr != nil || ageErr != nil {
		return roll, false, errAnswer
	}
	roll = membership.Roll{Epoch: parts[0], Seq: seq, Age: time.Duration(max(age-1, 0)) * time.Millisecond} // both readings of the clock are rounded down
	for rest := parts[3:]; len(rest) > 0; rest = rest[2:] {
		m := membership.Member{ID: rest[0]}
		var lease int64
		if _, err := fmt.Sscanf(rest[1], "%d:%d:%d", &m.Stamp, &lease, &m.Acked); err != nil {
			return roll, false, errAnswer
		}
		m.Lease = time.Duration(lease) * time.Millisecond
		roll.Members = append(roll.Members, m)
	}
	return roll, true, nil
}

// ---- what comes

// listen is a subscription: one connection of its own, for both channels, so that a beat proves that
// messages come. It ends with the connection: go-redis would make another one and not say so.
func (p *Provider) listen(ctx context.Context, member string, ready func(), deliver func(membership.Message)) error {
	channels := []string{p.removals(), p.beats(member)}
	subscription := p.client.Subscribe(ctx, channels...)
	defer subscription.Close()                                          //nolint:errcheck // it is over
	defer context.AfterFunc(ctx, func() { _ = subscription.Close() })() //nolint:errcheck // ends Receive
	subscribed := 0
	for {
		received, err := subscription.Receive(ctx)
		if err != nil {
			return err
		}
		switch r := received.(type) {
		case *redis.Subscription:
			if subscribed++; subscribed == len(channels) {
				ready()
			}
		case *redis.Message:
			if message, err := readMessage(r.Payload, r.Channel == channels[1]); err == nil {
				deliver(message)
			} // a message that nobody of ours has sent is a gap at most, which the numbers show
		}
	}
}

var errMessage = errors.New("redisprovider: a message that makes no sense")

// readMessage reads what announce.lua or beat.lua has published.
func readMessage(payload string, isBeat bool) (m membership.Message, err error) {
	const parts = 4
	fields := strings.SplitN(payload, " ", parts)
	if len(fields) < parts {
		return m, errMessage
	}
	m.Epoch = fields[0]
	if m.Seq, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return m, errMessage
	}
	if !isBeat {
		m.Sender = fields[2]
		m.Removed, err = decodeRemoved(fields[3])
		return m, err
	}
	m.Renewed = fields[3] == "1"
	if m.Beat, err = strconv.ParseInt(fields[2], 10, 64); err != nil || m.Beat == 0 {
		return m, errMessage
	}
	return m, nil
}
