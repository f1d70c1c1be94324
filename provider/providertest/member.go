package providertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// memberWindow is the window of members that are not strict.
const memberWindow = 400 * time.Millisecond

// A member is a process with a near cache: it keeps what its listener is told.
type member struct {
	s          *session
	membership provider.Membership
	// ahead is how much later than now the member may be told to answer at most; 0: that is not known.
	ahead time.Duration

	mu       sync.Mutex // guards following
	heard    []provider.Removed
	dropping int       // calls of Removed that have not returned
	until    time.Time // when the member may answer until
	first    time.Time // what until was first
	// hook runs in Removed, after that is noted and before it returns; nil: none.
	hook func()
}

var _ provider.Listener = (*member)(nil)

// Removed implements [provider.Listener].
func (m *member) Removed(removed provider.Removed) {
	m.mu.Lock()
	m.heard = append(m.heard, removed)
	m.dropping++
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		hook()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropping--
}

// Lost implements [provider.Listener].
func (*member) Lost() {}

// ServeUntil implements [provider.Listener].
func (m *member) ServeUntil(t time.Time) {
	if ahead := time.Until(t); m.ahead > 0 && ahead > m.ahead {
		m.s.errorf("a member with a window of %v was told that it may answer for %v", m.ahead, ahead)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = t
	if m.first.IsZero() {
		m.first = t
	}
}

// mayAnswer reports whether the member may answer now.
func (m *member) mayAnswer() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.until)
}

// mayBeStale reports whether a read that begins now may find removed in the memory of the member.
func (m *member) mayBeStale(removed provider.Removed) bool {
	heard := m.hasHeard(removed)
	m.mu.Lock()
	defer m.mu.Unlock()
	return (!heard || m.dropping > 0) && time.Now().Before(m.until)
}

// setHook replaces the hook, and forgets what was heard.
func (m *member) setHook(hook func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook, m.heard = hook, nil
}

// hasHeard reports whether the member was told that removed was removed, or more.
func (m *member) hasHeard(removed provider.Removed) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	under := func(key provider.Key) bool {
		return slices.ContainsFunc(m.heard, func(h provider.Removed) bool {
			return slices.ContainsFunc(h.Prefixes, func(p provider.Key) bool {
				return p.Scope == key.Scope && strings.HasPrefix(key.Name, p.Name)
			})
		})
	}
	for _, key := range removed.Keys {
		if !under(key) && !slices.ContainsFunc(m.heard, func(h provider.Removed) bool { return slices.Contains(h.Keys, key) }) {
			return false
		}
	}
	return !slices.ContainsFunc(removed.Prefixes, func(p provider.Key) bool { return !under(p) })
}

// join makes a member, and waits until it may answer.
func (s *session) join(a provider.Announcer, strict bool) *member {
	s.t.Helper()
	m := &member{s: s}
	options := provider.JoinOptions{Strict: strict}
	if !strict {
		options.Window, m.ahead = memberWindow, memberWindow
	}
	membership, err := a.Join(options, m)
	if err != nil || membership == nil {
		s.fatalf("Join with %+v: membership %v, unexpected error: %v", options, membership, err)
	}
	m.membership = membership
	s.eventually("a member is not told that it may answer", m.mayAnswer)
	return m
}

// eventually waits until is returns true, for as long as a loaded machine may take. After that, the case
// ends.
func (s *session) eventually(problem string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			s.fatalf("%s, for %v", problem, patience)
		}
	}
}

// A removal is a call that removes, or says so.
type removal struct {
	name    string
	removed provider.Removed
	do      func(ctx context.Context, store provider.CacheProvider) error
	// announces says that nothing is removed, and nobody is waited for.
	announces bool
}

// removals returns the calls of store that tell members. All of them are about the key list:1.
func removals(store provider.CacheProvider) []removal {
	all := []removal{
		{name: "Delete", removed: provider.Removed{Keys: []provider.Key{k("list:1"), k("other")}}, do: func(ctx context.Context, store provider.CacheProvider) error {
			return store.Delete(ctx, k("list:1"), k("other"))
		}},
		{name: "DeletePrefix", removed: provider.Removed{Prefixes: []provider.Key{k("list:")}}, do: func(ctx context.Context, store provider.CacheProvider) error {
			_, err := store.DeletePrefix(ctx, k("").Scope, "list:")
			return err
		}},
		{name: "Announce", announces: true, removed: provider.Removed{Keys: []provider.Key{k("list:1")}, Prefixes: []provider.Key{k("more:")}}, do: announce},
	}
	if _, ok := store.(provider.Holder); ok {
		all = append(all, removal{
			name: "Hold", removed: provider.Removed{Keys: []provider.Key{k("list:1")}, Prefixes: []provider.Key{k("more:")}}, do: hold,
		})
	}
	return all
}

func announce(ctx context.Context, store provider.CacheProvider) error {
	a, ok := store.(provider.Announcer)
	if !ok {
		return errors.New("the store has no provider.Announcer")
	}
	return a.Announce(ctx, provider.Removed{Keys: []provider.Key{k("list:1")}, Prefixes: []provider.Key{k("more:")}})
}

// hold holds, and ends that.
func hold(ctx context.Context, store provider.CacheProvider) error {
	h, ok := store.(provider.Holder)
	if !ok {
		return errors.New("the store has no provider.Holder")
	}
	const token = "a hold of the suite"
	targets := provider.HoldTargets{Scope: k("").Scope, Keys: []string{"list:1"}, Prefixes: []string{"more:"}}
	err := h.Hold(ctx, targets, token, time.Hour)
	return errors.Join(err, h.Unhold(context.WithoutCancel(ctx), targets, token))
}
