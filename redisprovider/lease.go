package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// The answers of acquire.lua and refresh.lua if they return neither an entry nor a
// lease.
const (
	acquireBusy = 0
	acquireHeld = 1
)

// nonceBytes is the length of the end of a token that the server generates.
const nonceBytes = 16

// Acquire implements [provider.Leaser]: one script per key, all in one round trip.
// Each transmission has its own token and is sent once, so a request that arrives
// late stores a lease that nobody can fill.
func (p *Provider) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return p.grant(ctx, "acquire", keys, ttl, func(_ int, c *call) { c.script = p.scripts.acquire })
}

// Refresh implements [provider.Refresher], in the same way as Acquire. The lease of
// a key with an entry is a part of the entry's frame, so whatever removes the entry
// removes the lease.
func (p *Provider) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	keys := make([]provider.Key, len(requests))
	for i := range requests {
		keys[i] = requests[i].Key
	}
	return p.grant(ctx, "refresh", keys, ttl, func(i int, c *call) {
		force := 0
		if requests[i].Force {
			force = 1
		}
		c.script = p.scripts.refresh
		c.args = append(c.args, appendTime(nil, requests[i].LoadedAt), force, p.codecName)
	})
}

// grant asks for leases of keys. complete turns the call that all operations share
// into the call of this one.
func (p *Provider) grant(ctx context.Context, op string, keys []provider.Key, ttl time.Duration, complete func(i int, c *call)) ([]provider.Grant, error) {
	grants := make([]provider.Grant, len(keys))
	if err := p.usable(ctx); err != nil {
		return failGrants(grants, err)
	}
	if err := provider.CheckTTL(ttl); err != nil {
		return failGrants(grants, fmt.Errorf("redisprovider: %s: %w", op, err))
	}
	px, _ := pxOf(min(ttl, maxTTL)) // a lease always has an end
	answers := p.run(ctx, len(keys), func(i int) call {
		token := newToken()
		grants[i].Lease = provider.Lease{Key: keys[i], Token: token}
		b, name := p.bucketOf(keys[i]), keys[i].Name
		c := call{
			keys: p.scriptKeys(b, b.value(name), b.holds(name), b.prefixHolds(), b.index()),
			args: []any{name, p.bound(leaseFrame(token)), px},
		}
		complete(i, &c)
		return c
	})
	var unread []provider.Lease
	for i := range grants {
		lease := grants[i].Lease
		p.readGrant(&grants[i], answers[i])
		if grants[i].Err == nil {
			continue
		}
		if !isAnswer(answers[i].Err()) {
			unread = append(unread, lease)
		}
		grants[i].Err = failed(op, p.keyOf(keys[i]), grants[i].Err)
	}
	p.abandon(ctx, unread)
	return grants, wholeGrantError(grants)
}

// readGrant fills in g from the answer of the server. On entry, only g.Lease is set.
func (p *Provider) readGrant(g *provider.Grant, answer once) {
	lease := g.Lease
	*g = provider.Grant{State: provider.LeaseFailed}
	found, err := answer.Result()
	if err != nil { // what may be beside it was cut off
		g.Err = err
		if serverSays(err, "WRONGTYPE") {
			g.Err = fmt.Errorf("%w: %w", provider.ErrUndecodable, err)
		}
		return
	}
	switch v := found.(type) {
	case string:
		if g.Entry, g.Found, g.Err = p.decodeAnswer(v); g.Found {
			g.State = provider.LeaseFound
		}
	case int64:
		switch v {
		case acquireBusy:
			g.State = provider.LeaseBusy
		case acquireHeld:
			g.State = provider.LeaseHeld
		}
	case []any:
		p.readLeased(g, lease, v)
	}
	if g.State == provider.LeaseFailed && g.Err == nil {
		g.Err = errAnswer
	}
}

// readLeased fills in g from an answer with a nonce and possibly an entry. The nonce
// is the end of the granted lease's token; it is empty if another caller has the
// lease. An entry that cannot be read is not refreshed: the lease that the script
// may have added goes when the key is deleted.
func (p *Provider) readLeased(g *provider.Grant, lease provider.Lease, answer []any) {
	if len(answer) < 1 || len(answer) > 2 {
		return
	}
	nonce, ok := answer[0].(string)
	if !ok || len(nonce) != nonceBytes && (nonce != "" || len(answer) == 1) {
		return
	}
	if len(answer) > 1 {
		data, ok := answer[1].(string)
		if !ok {
			return
		}
		if g.Entry, g.Found, g.Err = p.decodeAnswer(data); !g.Found {
			return
		}
	}
	g.State = provider.LeaseBusy
	if nonce != "" {
		lease.Token = lease.Token[:len(lease.Token)-nonceBytes] + nonce
		g.State, g.Lease = provider.LeaseGranted, lease
	}
}

// errAnswer is the error of an answer that no script of this package returns.
var errAnswer = errors.New("an answer that makes no sense")

// wholeGrantError returns the error of a call that could not ask for any key, nil
// for any other call.
func wholeGrantError(grants []provider.Grant) error {
	for i := range grants {
		if err := grants[i].Err; err == nil || errors.Is(err, provider.ErrUndecodable) {
			return nil
		}
	}
	if len(grants) == 0 {
		return nil
	}
	return grants[0].Err
}

func failGrants(grants []provider.Grant, err error) ([]provider.Grant, error) {
	for i := range grants {
		grants[i].Err = err
	}
	return grants, err
}

// Fill implements [provider.Leaser]: one script per entry, all in one round trip,
// each sent once.
func (p *Provider) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if err := p.usable(ctx); err != nil {
		return make([]provider.Filled, len(fills)), err
	}
	filled := make([]provider.Filled, len(fills))
	losses := make([]*provider.LossError, len(fills))
	answers := p.run(ctx, len(fills), func(i int) call {
		var c call
		c, losses[i], filled[i].Err = p.fillCall(fills[i])
		return c
	})
	unreached, whole := 0, error(nil)
	for i, answer := range answers {
		n, err := answer.Int()
		if err != nil {
			unreached++
			whole = failed("fill", p.keyOf(fills[i].Lease.Key), err)
		}
		if filled[i].Err == nil {
			filled[i] = provider.Filled{Stored: err == nil && n == 1, Err: err}
			if loss := losses[i]; loss != nil && filled[i].Stored {
				p.lossy.tell(fills[i].Entry.Value)
				filled[i].Err = loss
			}
		} else {
			filled[i].Err = refused(filled[i].Err, err)
		}
		if filled[i].Err != nil {
			filled[i].Err = failed("fill", p.keyOf(fills[i].Lease.Key), filled[i].Err)
		}
	}
	if unreached < len(fills) {
		whole = nil
	}
	return filled, whole
}

// fillCall returns the call that stores an entry. If the entry is refused for its
// TTL, it returns the reason and the call that releases the lease. If it is refused
// for what it is, it returns the reason and the call that removes the key. What is
// there is older than the entry. To remove something newer, should the lease be over,
// costs a miss. loss is what an entry loses that is stored all the same.
func (p *Provider) fillCall(f provider.Fill) (c call, loss *provider.LossError, refusal error) {
	if err := provider.CheckTTL(f.TTL); err != nil {
		return p.releaseCall(f.Lease), nil, err
	}
	script, encode := p.scripts.fill, p.encode
	if f.Extend {
		script, encode = p.scripts.extend, p.encodeHead
	}
	b, name := p.bucketOf(f.Lease.Key), f.Lease.Key.Name
	data, loss, err := encode(f.Entry)
	if err != nil {
		return call{args: []any{"unlink", b.value(name)}}, nil, err
	}
	px, _ := pxOf(f.TTL)
	return call{
		script: script,
		keys:   p.scriptKeys(b, b.value(name), b.index()),
		args:   []any{name, p.bound(leaseFrame(f.Lease.Token)), data, px},
		bytes:  len(data),
	}, loss, nil
}

// Release implements [provider.Leaser]: one script per lease, all in one round trip.
func (p *Provider) Release(ctx context.Context, leases []provider.Lease) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	answers := p.run(ctx, len(leases), func(i int) call { return p.releaseCall(leases[i]) })
	var failures failureGroups
	for i, answer := range answers {
		if err := answer.Err(); err != nil {
			failures.add(p.keyOf(leases[i].Key), err)
		}
	}
	return errors.Join(failures.errors("release")...)
}

func (p *Provider) releaseCall(l provider.Lease) call {
	return call{
		script: p.scripts.release,
		keys:   []string{p.keyOf(l.Key)},
		args:   []any{p.bound(leaseFrame(l.Token))},
	}
}

// Renew implements [provider.Renewer]: one script per lease, all in one round trip.
func (p *Provider) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	renewed := make([]bool, len(leases))
	if err := p.usable(ctx); err != nil {
		return renewed, err
	}
	if err := provider.CheckTTL(ttl); err != nil {
		return renewed, fmt.Errorf("redisprovider: renew: %w", err)
	}
	px, _ := pxOf(min(ttl, maxTTL))
	answers := p.run(ctx, len(leases), func(i int) call {
		b, name := p.bucketOf(leases[i].Key), leases[i].Key.Name
		return call{
			script: p.scripts.renew,
			keys:   p.scriptKeys(b, b.value(name), b.index()),
			args:   []any{name, p.bound(leaseFrame(leases[i].Token)), px},
		}
	})
	var failures failureGroups
	for i, answer := range answers {
		n, err := answer.Int()
		if err != nil {
			failures.add(p.keyOf(leases[i].Key), err)
		}
		renewed[i] = err == nil && n == 1
	}
	return renewed, errors.Join(failures.errors("renew")...)
}

// newToken returns a token of 32 bytes of text. No other transmission has it.
func newToken() string {
	const hex = "0123456789abcdef"
	var token [32]byte
	for i := 0; i < len(token); i += 16 {
		r := rand.Uint64() //nolint:gosec // unique, not secret
		for j := range 16 {
			token[i+j] = hex[r>>(4*j)&0xf]
		}
	}
	return string(token[:])
}
