package providertest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/internal/race"
	"github.com/readthrough/readthrough/provider"
)

// A process is a store of one process, on a server in this one, some of whose methods are replaced.
type process struct {
	*neartest.Store

	server *neartest.Server
	muted  atomic.Bool // the member of this process is told nothing

	getTTL       func(ctx context.Context, keys []provider.Key) ([]provider.Result, error)
	delete       deleteFunc
	deletePrefix deletePrefixFunc
	hold         holdFunc
	announce     func(ctx context.Context, removed provider.Removed) error
	join         func(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error)
}

func newProcess(t *testing.T, server *neartest.Server) *process {
	t.Helper()
	s := neartest.NewStore(t.Context(), server, 0)
	return &process{
		Store: s, server: server,
		getTTL: s.GetTTL, delete: s.Delete, deletePrefix: s.DeletePrefix, hold: s.Hold, announce: s.Announce, join: s.Join,
	}
}

func (p *process) GetTTL(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	return p.getTTL(ctx, keys)
}

func (p *process) Delete(ctx context.Context, keys ...provider.Key) error {
	return p.delete(ctx, keys...)
}

func (p *process) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	return p.deletePrefix(ctx, scope, prefix)
}

func (p *process) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	return p.hold(ctx, targets, token, ttl)
}

func (p *process) Announce(ctx context.Context, removed provider.Removed) error {
	return p.announce(ctx, removed)
}

func (p *process) Join(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error) {
	return p.join(options, listener)
}

var (
	_ provider.Announcer = (*process)(nil)
	_ provider.TTLGetter = (*process)(nil)
)

// TestProcessesPass: the cases of members accept a correct store.
func TestProcessesPass(t *testing.T) {
	fresh := func(t *testing.T, server *neartest.Server) *process {
		t.Helper()
		p := newProcess(t, server)
		t.Cleanup(func() { assert.NoError(t, p.Close()) })
		return p
	}
	RunSharedSynctest(t, func(t *testing.T) (one, other provider.CacheProvider) {
		t.Helper()
		server := neartest.NewServer()
		return fresh(t, server), fresh(t, server)
	})
	RunSynctest(t, func(t *testing.T) provider.CacheProvider {
		t.Helper()
		return fresh(t, neartest.NewServer())
	})
}

// A memberBreakage is a way to get the promises to members wrong, and the cases that must see it.
type memberBreakage struct {
	name  string
	cases []string
	// one breaks the store that removes, and other that of the member. In cases of one store, both are it.
	one, other func(p *process)
	servers    bool // each process has a server of its own
}

// listener is a listener some of whose methods are replaced.
type listener struct {
	provider.Listener

	removed    func(provider.Removed)
	serveUntil func(time.Time)
}

func (l listener) Removed(r provider.Removed) {
	if l.removed == nil {
		l.Listener.Removed(r)
	} else {
		l.removed(r)
	}
}

func (l listener) ServeUntil(t time.Time) {
	if l.serveUntil == nil {
		l.Listener.ServeUntil(t)
	} else {
		l.serveUntil(t)
	}
}

// listensBy replaces the listener of the member.
func listensBy(replace func(own provider.Listener) provider.Listener) func(*process) {
	return func(p *process) {
		p.join = func(options provider.JoinOptions, own provider.Listener) (provider.Membership, error) {
			if own == nil {
				return p.Store.Join(options, own)
			}
			return p.Store.Join(options, replace(own))
		}
	}
}

// place is a membership some of whose methods are replaced.
type place struct {
	provider.Membership

	close func() error
	valid func() bool
}

func (m place) Close() error {
	if m.close == nil {
		return m.Membership.Close()
	}
	return m.close()
}

func (m place) Stats() provider.MembershipStats {
	stats := m.Membership.Stats()
	if m.valid != nil {
		stats.Valid = m.valid()
	}
	return stats
}

// staysBy replaces the membership.
func staysBy(replace func(own provider.Membership, listener provider.Listener) provider.Membership) func(*process) {
	return func(p *process) {
		p.join = func(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error) {
			m, err := p.Store.Join(options, listener)
			if err != nil {
				return nil, err
			}
			return replace(m, listener), nil
		}
	}
}

// around has something happen around each call of one kind.
func around(call string, run func(p *process, call func())) func(p *process) {
	return func(p *process) {
		del, prefix, hold, announce := p.delete, p.deletePrefix, p.hold, p.announce
		switch call {
		case "Delete":
			p.delete = func(ctx context.Context, keys ...provider.Key) (err error) {
				run(p, func() { err = del(ctx, keys...) })
				return err
			}
		case "DeletePrefix":
			p.deletePrefix = func(ctx context.Context, scope, name string) (n int, err error) {
				run(p, func() { n, err = prefix(ctx, scope, name) })
				return n, err
			}
		case "Hold":
			p.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) (err error) {
				run(p, func() { err = hold(ctx, targets, token, ttl) })
				return err
			}
		case "Announce":
			p.announce = func(ctx context.Context, removed provider.Removed) (err error) {
				run(p, func() { err = announce(ctx, removed) })
				return err
			}
		}
	}
}

// secretly loses the messages of a call, and what it tells its own member.
func secretly(p *process, call func()) {
	p.muted.Store(true)
	p.server.OnMessage(func(_ *neartest.Store, m membership.Message) []membership.Message {
		if m.Beat == 0 {
			return nil
		}
		return []membership.Message{m}
	})
	call()
	time.Sleep(time.Millisecond) // until the messages are there, and are lost
	p.muted.Store(false)
	p.server.OnMessage(nil)
}

// mutable lets muted have its effect.
func mutable(p *process) {
	listensBy(func(own provider.Listener) provider.Listener {
		return listener{Listener: own, removed: func(r provider.Removed) {
			if !p.muted.Load() {
				own.Removed(r)
			}
		}}
	})(p)
}

func brokenMembers() (all []memberBreakage) {
	for _, call := range []string{"Delete", "DeletePrefix", "Hold", "Announce"} {
		all = append(all,
			memberBreakage{name: call + " does not tell others", cases: in("shared/told"), one: around(call, secretly)},
			memberBreakage{name: call + " does not tell its own member", cases: in("announce/own"), one: func(p *process) {
				mutable(p)
				around(call, secretly)(p)
			}},
		)
		if call == "Announce" {
			continue
		}
		all = append(all,
			memberBreakage{name: call + " tells before it removes", cases: in("shared/removed-first"), one: around(call, func(p *process, remove func()) {
				for _, r := range removals(p.Store) {
					if r.name == call {
						_ = p.Store.Announce(context.Background(), r.removed)
					}
				}
				time.Sleep(time.Millisecond)
				secretly(p, remove)
			})},
			memberBreakage{name: call + " does not wait", cases: in("shared/waits"), one: around(call, func(_ *process, remove func()) {
				go remove()
			})},
		)
	}
	return slices.Concat(all, brokenGetTTLs(), brokenListeners(), brokenMemberships(), brokenWaits())
}

// afterGetTTL has something happen to the results of GetTTL.
func afterGetTTL(happen func(results []provider.Result)) func(*process) {
	return func(p *process) {
		p.getTTL = func(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
			results, err := p.Store.GetTTL(ctx, keys)
			happen(results)
			return results, err
		}
	}
}

// each changes each result by itself.
func each(change func(r *provider.Result)) func([]provider.Result) {
	return func(results []provider.Result) {
		for i := range results {
			change(&results[i])
		}
	}
}

func brokenGetTTLs() []memberBreakage {
	return []memberBreakage{
		{name: "GetTTL answers backwards", cases: in("getttl/like-get"), one: afterGetTTL(slices.Reverse[[]provider.Result])},
		{name: "GetTTL finds all", cases: in("getttl/like-get", "getttl/ended"), one: afterGetTTL(each(func(r *provider.Result) {
			r.Found = true
		}))},
		{name: "GetTTL knows no end", cases: in("getttl/left"), one: afterGetTTL(each(func(r *provider.Result) {
			r.TTL = provider.NoExpiry
		}))},
		{name: "GetTTL knows no rest", cases: in("getttl/left"), one: afterGetTTL(each(func(r *provider.Result) {
			r.TTL = 0
		}))},
		{name: "GetTTL says how long the entry was to live", cases: in("getttl/left"), one: afterGetTTL(each(func(r *provider.Result) {
			if r.TTL != provider.NoExpiry {
				r.TTL = time.Minute
			}
		}))},
	}
}

func brokenListeners() []memberBreakage {
	return []memberBreakage{
		{name: "a member may answer once", cases: in("announce/renews"), one: listensBy(func(own provider.Listener) provider.Listener {
			var told atomic.Bool
			return listener{Listener: own, serveUntil: func(until time.Time) {
				if !told.Swap(true) {
					own.ServeUntil(until)
				}
			}}
		})},
		{name: "a member may answer for an hour", cases: in("announce/renews"), one: listensBy(func(own provider.Listener) provider.Listener {
			return listener{Listener: own, serveUntil: func(until time.Time) { own.ServeUntil(until.Add(time.Hour)) }}
		})},
		{name: "a member may never answer", cases: in("announce/own", "announce/renews", "shared/told", "shared/waits"), one: listensBy(deafToDeadlines), other: listensBy(deafToDeadlines)},
		{name: "what is acknowledged is dropped later", cases: in("shared/waits"), other: listensBy(func(own provider.Listener) provider.Listener {
			return listener{Listener: own, removed: func(r provider.Removed) { time.AfterFunc(later, func() { own.Removed(r) }) }}
		})},
	}
}

func deafToDeadlines(own provider.Listener) provider.Listener {
	return listener{Listener: own, serveUntil: func(time.Time) {}}
}

func brokenMemberships() []memberBreakage {
	return []memberBreakage{
		{name: "the statistics never say that a member may answer", cases: in("announce/renews"), one: staysBy(func(own provider.Membership, _ provider.Listener) provider.Membership {
			return place{Membership: own, valid: func() bool { return false }}
		})},
		{name: "the statistics always say that a member may answer", cases: in("announce/close"), one: staysBy(func(own provider.Membership, _ provider.Listener) provider.Membership {
			return place{Membership: own, valid: func() bool { return true }}
		})},
		{name: "Close of a membership does nothing", cases: in("announce/close", "announce/one-member"), one: staysBy(func(own provider.Membership, _ provider.Listener) provider.Membership {
			return place{Membership: own, close: func() error { return nil }}
		})},
		{name: "a membership ends, and a deadline comes after that", cases: in("announce/close"), one: staysBy(func(own provider.Membership, l provider.Listener) provider.Membership {
			return place{Membership: own, close: func() error {
				time.AfterFunc(time.Millisecond, func() { l.ServeUntil(time.Now().Add(time.Hour)) })
				return own.Close()
			}}
		})},
		{name: "a membership is closed once", cases: in("announce/close"), one: staysBy(func(own provider.Membership, _ provider.Listener) provider.Membership {
			var closed atomic.Bool
			return place{Membership: own, close: func() error {
				if closed.Swap(true) {
					return errOdd
				}
				return own.Close()
			}}
		})},
		{name: "a store has two members", cases: in("announce/one-member"), one: func(p *process) {
			p.join = func(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
				m, err := p.Store.Join(options, l)
				if err != nil {
					return place{}, nil //nolint:nilerr // that is what is broken
				}
				return m, nil
			}
		}},
		{name: "a store has one member for ever", cases: in("announce/one-member"), one: func(p *process) {
			var joined atomic.Bool
			p.join = func(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
				if joined.Swap(true) {
					return nil, errOdd
				}
				return p.Store.Join(options, l)
			}
		}},
		{name: "nobody is a listener", cases: in("announce/bad-options"), one: func(p *process) {
			p.join = func(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
				if l == nil {
					l = &member{}
				}
				return p.Store.Join(options, l)
			}
		}},
		{name: "a negative window is one", cases: in("announce/bad-options"), one: func(p *process) {
			p.join = func(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
				options.Window = max(options.Window, time.Second)
				return p.Store.Join(options, l)
			}
		}},
		{name: "who has left is still waited for", cases: in("shared/left"), other: func(p *process) {
			staysBy(func(own provider.Membership, l provider.Listener) provider.Membership {
				return place{Membership: own, close: func() error {
					l.ServeUntil(time.Time{})
					p.Store.On(neartest.Sent, silent) // an acknowledgement in time would hide it
					return nil
				}}
			})(p)
		}},
	}
}

// silent fails what a member says of itself.
func silent(_ context.Context, op string) error {
	switch op {
	case "beat", "ack":
		return errors.New("silent")
	default:
		return nil
	}
}

func brokenWaits() []memberBreakage {
	joinAs := func(strict bool) func(*process) {
		return func(p *process) {
			p.join = func(options provider.JoinOptions, l provider.Listener) (provider.Membership, error) {
				options.Strict, options.Window = strict, memberWindow
				return p.Store.Join(options, l)
			}
		}
	}
	answer := func(replace func(err error) error) func(*process) {
		return func(p *process) {
			p.delete = func(ctx context.Context, keys ...provider.Key) error { return replace(p.Store.Delete(ctx, keys...)) }
		}
	}
	return []memberBreakage{
		{name: "each process has a server", cases: in("shared/one-store"), servers: true},
		{name: "nobody is strict", cases: in("shared/waits"), other: joinAs(false)},
		{name: "all are strict", cases: in("shared/waits-for-nobody-else"), other: joinAs(true)},
		{name: "who has not acknowledged is no error", cases: in("shared/unacknowledged"), one: answer(func(error) error { return nil })},
		{name: "who has not acknowledged is another error", cases: in("shared/unacknowledged"), one: answer(func(err error) error {
			if err != nil {
				return errOdd
			}
			return nil
		})},
		{name: "Announce waits", cases: in("shared/waits-for-nobody-else"), one: func(p *process) {
			p.announce = func(ctx context.Context, removed provider.Removed) error {
				if err := p.Store.Announce(ctx, removed); err != nil {
					return err
				}
				return p.Store.Delete(ctx, k("nothing"))
			}
		}},
	}
}

// TestBrokenMembersAreCaught runs, for every store that breaks a promise to members, the cases that are
// meant for it.
func TestBrokenMembersAreCaught(t *testing.T) {
	if race.Enabled {
		t.Skip("a hundred broken stores take minutes under the race detector; to run it: go test -run ^TestBrokenMembersAreCaught$ ./provider/providertest")
	}
	all := allCases(t)
	for _, b := range brokenMembers() {
		t.Run(b.name, func(t *testing.T) {
			for _, name := range b.cases {
				c, ok := all[name]
				require.True(t, ok, "there is no case %s", name)
				wantCaught(t, breakage{}, name, c, b.record(t, c))
			}
		})
	}
}

// record runs a case on two processes in a bubble, and returns what it reports.
func (b *memberBreakage) record(t *testing.T, c testCase) (failures []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := neartest.NewServer()
		one := newProcess(t, server)
		if b.servers {
			server = neartest.NewServer()
		}
		other := newProcess(t, server)
		for p, breaks := range map[*process]func(*process){one: b.one, other: b.other} {
			if breaks != nil {
				breaks(p)
			}
		}
		r := &recorder{t: t}
		runPair(r, one, other, c, exactTime)
		failures = r.reported()
		time.Sleep(time.Minute) // let what a broken store does behind the back of its callers end
		assert.NoError(t, one.Close())
		assert.NoError(t, other.Close())
	})
	return failures
}
