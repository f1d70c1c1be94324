package providertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// leased is a lease and when it ends; the zero end means never.
type leased struct {
	token string
	ends  time.Time
}

func (l leased) live() bool { return l.ends.IsZero() || time.Now().Before(l.ends) }

// A held is what one target of a Hold has left: a key, or a prefix of names.
type held struct {
	token, scope, name string
	prefix             bool
	ends               time.Time
}

func (h held) live() bool { return h.ends.IsZero() || time.Now().Before(h.ends) }

// covers reports whether key is held.
func (h held) covers(key provider.Key) bool {
	if key.Scope != h.scope || key.Name != h.name && (!h.prefix || !strings.HasPrefix(key.Name, h.name)) {
		return false
	}
	return h.live()
}

// is reports whether h and other are the same hold, whenever they end.
func (h held) is(other held) bool {
	h.ends = other.ends
	return h == other
}

// heldBy returns the holds of the targets that end at ends.
func heldBy(targets provider.HoldTargets, token string, ends time.Time) (all []held) {
	for _, name := range targets.Keys {
		all = append(all, held{token, targets.Scope, name, false, ends})
	}
	for _, prefix := range targets.Prefixes {
		all = append(all, held{token, targets.Scope, prefix, true, ends})
	}
	return all
}

func (r *reference) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.usableLocked(ctx)
	if err == nil {
		err = provider.CheckTTL(ttl)
	}
	grants := make([]provider.Grant, len(keys))
	for i, key := range keys {
		if err != nil {
			grants[i].Err = err
			continue
		}
		grants[i] = r.acquireLocked(key, ttl)
	}
	return grants, err
}

func (r *reference) acquireLocked(key provider.Key, ttl time.Duration) provider.Grant {
	if slices.ContainsFunc(r.holds, func(h held) bool { return h.covers(key) }) {
		return provider.Grant{State: provider.LeaseHeld}
	}
	r.tidyLocked(key)
	if e, found := r.entries[key]; found {
		return provider.Grant{State: provider.LeaseFound, Entry: e.entry}
	}
	if l, found := r.leases[key]; found && l.live() {
		return provider.Grant{State: provider.LeaseBusy}
	}
	return provider.Grant{State: provider.LeaseGranted, Lease: r.leaseLocked(key, ttl)}
}

// leaseLocked puts a lease under key, beside the entry if there is one.
func (r *reference) leaseLocked(key provider.Key, ttl time.Duration) provider.Lease {
	r.tokens++
	token := fmt.Sprint("token ", r.tokens)
	r.leases[key] = leased{token, endOf(ttl)}
	return provider.Lease{Key: key, Token: token}
}

// tidyLocked removes an entry that has ended, and the lease beside it.
func (r *reference) tidyLocked(key provider.Key) {
	if e, found := r.entries[key]; found && !e.live() {
		r.removeLocked(key)
	}
}

func (r *reference) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.usableLocked(ctx)
	if err == nil {
		err = provider.CheckTTL(ttl)
	}
	grants := make([]provider.Grant, len(requests))
	for i, request := range requests {
		if err != nil {
			grants[i].Err = err
			continue
		}
		grants[i] = r.refreshLocked(request, ttl)
	}
	return grants, err
}

func (r *reference) refreshLocked(request provider.RefreshRequest, ttl time.Duration) provider.Grant {
	key := request.Key
	r.tidyLocked(key)
	e, found := r.entries[key]
	grant := provider.Grant{Found: found, Entry: e.entry}
	switch l, leased := r.leases[key]; {
	case slices.ContainsFunc(r.holds, func(h held) bool { return h.covers(key) }):
		return provider.Grant{State: provider.LeaseHeld}
	case leased && l.live():
		grant.State = provider.LeaseBusy
	case found && !request.Force && !e.entry.LoadedAt.Equal(request.LoadedAt):
		grant.State = provider.LeaseFound
	default:
		grant.State, grant.Lease = provider.LeaseGranted, r.leaseLocked(key, ttl)
	}
	return grant
}

func (r *reference) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled := make([]provider.Filled, len(fills))
	var err error
	for i, fill := range fills {
		var encodeErr error
		if !fill.Extend {
			encodeErr = r.encode(&fill.Entry)
		}
		r.mu.Lock()
		if err = r.usableLocked(ctx); err != nil {
			filled[i].Err = err
		} else {
			filled[i] = r.fillLocked(fill, encodeErr)
		}
		r.mu.Unlock()
	}
	return filled, err
}

// fillLocked stores an entry whose encoding has ended with encodeErr.
func (r *reference) fillLocked(fill provider.Fill, encodeErr error) provider.Filled {
	if err := provider.CheckTTL(fill.TTL); err != nil {
		return provider.Filled{Err: err}
	}
	key := fill.Lease.Key
	if !r.holdsLeaseLocked(fill.Lease) {
		return provider.Filled{}
	}
	e, found := r.entries[key]
	if fill.Extend && !found {
		return provider.Filled{}
	}
	delete(r.leases, key)
	if encodeErr != nil {
		delete(r.entries, key)
		return provider.Filled{Err: encodeErr}
	}
	if fill.Extend {
		fill.Entry.Value, fill.Entry.Absent = e.entry.Value, e.entry.Absent
	}
	r.entries[key] = stored{entry: fill.Entry, at: time.Now(), ends: endOf(fill.TTL)}
	return provider.Filled{Stored: true}
}

// holdsLeaseLocked reports whether the key holds that very lease.
func (r *reference) holdsLeaseLocked(lease provider.Lease) bool {
	r.tidyLocked(lease.Key)
	l, found := r.leases[lease.Key]
	return found && l.live() && l.token == lease.Token
}

func (r *reference) Release(ctx context.Context, leases []provider.Lease) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return err
	}
	for _, lease := range leases {
		if r.holdsLeaseLocked(lease) {
			delete(r.leases, lease.Key)
		}
	}
	return nil
}

func (r *reference) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return err
	}
	r.holds = slices.DeleteFunc(r.holds, func(h held) bool { return !h.live() })
	for _, h := range heldBy(targets, token, endOf(ttl)) {
		r.removeHeldLocked(h)
		r.unholdLocked(h)
		r.holds = append(r.holds, h)
	}
	return nil
}

// removeHeldLocked removes the entries and leases that h covers.
func (r *reference) removeHeldLocked(h held) {
	if h.prefix {
		r.removePrefixLocked(h.scope, h.name)
	} else {
		r.removeLocked(provider.Key{Scope: h.scope, Name: h.name})
	}
}

// unholdLocked gives up h.
func (r *reference) unholdLocked(h held) {
	r.holds = slices.DeleteFunc(r.holds, func(other held) bool { return other.name == h.name && other.is(h) })
}

func (r *reference) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return err
	}
	for _, h := range heldBy(targets, token, time.Time{}) {
		r.unholdLocked(h)
	}
	return nil
}
