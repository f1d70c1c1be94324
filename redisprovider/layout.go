package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// Processes whose keys are laid out differently, one for a cluster and the other for one
// server or with another number of buckets, do not see each other's entries and
// invalidations, and nothing else would tell them. So the store keeps a marker with its
// layout under a key that all of them know:
//
//   - No process uses the store before it has seen a marker with its own layout, or has
//     set one.
//   - It looks again every markerEvery, as long as it is used. A marker ends markerTTL
//     after the last look. So while two processes use a store, one of them finds the
//     marker of the other, and its calls fail.
//   - If the marker is lost, by eviction for example, that takes up to markerEvery.
//
// The look is a write, so it fails on a replica: a client that has replicas for its
// servers, such as a Sentinel client with ReplicaOnly, is not used.
//
// The first look also sets up the first connection, in a goroutine and with a deadline of
// its own: a connection may take longer to set up than any read may wait.
const (
	markerEvery = 15 * time.Second
	markerTTL   = time.Minute
	// markerRetry is the pause after a look that did not confirm the layout.
	markerRetry = time.Second
)

// ErrLayout is matched by the error of every call, if processes with another layout of keys
// use the same server and the same prefix: a cluster client and a client of one server, or
// different numbers of [Options.Buckets]. They would not see each other's invalidations. A
// minute after the last of the others has ended, the store works.
var ErrLayout = errors.New("redisprovider: the store has another layout of keys")

// layout is what a process knows about the marker.
type layout struct {
	want string // the own layout; written by New

	// confirmed is when the last look that found the own layout began, as nanoseconds since
	// started; 0: none yet, or the store is not to be used. Written under mu.
	confirmed atomic.Int64
	started   time.Time // written by New

	mu   sync.Mutex // guards following
	look *look      // under way; nil: none
	next time.Time  // when the next look may begin
	err  error      // of the last look, if that was no confirmation
}

// A look is one at the marker. err is written before done is closed.
type look struct {
	began time.Time
	done  chan struct{}
	err   error
}

// layoutOf describes how a store lays out its keys.
func layoutOf(buckets int) string {
	if buckets == 0 {
		return "1 server"
	}
	return "1 cluster " + strconv.Itoa(buckets)
}

// markerKey returns the key of the marker. No scope has a tag like that.
func (p *Provider) markerKey() string { return p.prefix + "{#}:layout" }

// age returns how long ago the layout was confirmed, and false if it was not.
func (l *layout) age() (age time.Duration, confirmed bool) {
	at := l.confirmed.Load()
	return time.Since(l.started) - time.Duration(at), at != 0
}

// ready returns nil if the layout of the store is known to be the own one. It waits for the
// first look, until ctx ends, and for no other.
func (p *Provider) ready(ctx context.Context) error {
	l := &p.layout
	age, confirmed := l.age()
	if confirmed && age < markerEvery {
		return nil
	}
	under, err := p.lookAtMarker(ctx)
	if confirmed && age < markerTTL {
		return nil
	}
	if under == nil {
		return err
	}
	select {
	case <-under.done:
		return under.err
	case <-ctx.Done():
		return fmt.Errorf("redisprovider: there is no connection yet, it has been set up for %v: %w", time.Since(under.began).Round(time.Millisecond), ctx.Err())
	}
}

// lookAtMarker returns the look under way, and begins one if it is time. Otherwise it
// returns the error of the last one.
func (p *Provider) lookAtMarker(ctx context.Context) (*look, error) {
	l := &p.layout
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.look != nil || now.Before(l.next) {
		return l.look, l.err
	}
	under := &look{began: now, done: make(chan struct{}), err: clientFailure("and told nothing")}
	end := func(err error) { p.endLook(under, err) }
	read := func(ctx context.Context) {
		err := p.readMarker(ctx)
		if _, confirmed := l.age(); err == nil && !confirmed && time.Since(now) >= farAway {
			p.connect(ctx)
		}
		end(err)
	}
	if !p.background.run(ctx, p.connectTimeout(), read, end) {
		return nil, errClosed()
	}
	l.look = under
	return under, nil
}

// endLook takes what a look has found. What says nothing about the layout is no reason to
// use no store: a cluster may have lost the node of the marker only.
func (p *Provider) endLook(under *look, err error) {
	l := &p.layout
	l.mu.Lock()
	defer l.mu.Unlock()
	other := errors.Is(err, ErrLayout)
	if !other && isAnswer(err) && !errors.Is(err, provider.ErrReadOnly) {
		err = nil
	}
	_, confirmed := l.age()
	switch {
	case err == nil:
		l.confirmed.Store(max(1, int64(under.began.Sub(l.started))))
		l.next = under.began.Add(markerEvery)
	case other:
		l.confirmed.Store(0)
		l.next = time.Now().Add(markerRetry)
	case p.cluster != nil || confirmed:
		l.next = time.Now().Add(markerRetry)
		if !errors.Is(err, provider.ErrReadOnly) {
			err = nil
		}
	}
	l.err, under.err, l.look = err, err, nil
	close(under.done)
}

// lookFailed returns the error of a look at the marker, whose key is nobody's.
func lookFailed(err error) error {
	return fmt.Errorf("redisprovider: look for the layout of keys: %w", told(err))
}

// readMarker sets the marker if there is none, and returns an error that matches
// [ErrLayout] if there is another.
func (p *Provider) readMarker(ctx context.Context) error {
	key, want := p.markerKey(), p.layout.want
	// A command and a pipeline: the client has connections of its own for each.
	set := once{redis.NewCmd(ctx, "set", key, want, "nx", "px", markerTTL.Milliseconds())}
	setErr := p.client.Process(ctx, set)
	if errors.Is(setErr, redis.Nil) {
		setErr = nil
	}
	p.notice(ctx, setErr)
	if setErr != nil && (!isAnswer(setErr) || serverSays(setErr, "READONLY ")) {
		return lookFailed(setErr)
	}
	pipe := p.client.Pipeline()
	get := pipe.Get(ctx, key)
	_, err := pipe.Exec(ctx)
	p.notice(ctx, err)
	switch found, getErr := get.Result(); {
	case errors.Is(getErr, redis.Nil):
		return told(setErr)
	case getErr != nil:
		return lookFailed(getErr)
	case err != nil:
		return lookFailed(err)
	case found != want:
		return fmt.Errorf("%w: %q has %q, and this process has %q: use the same kind of client and the same Options.Buckets everywhere, or another Options.KeyPrefix", ErrLayout, key, found, want)
	}
	return told(p.client.PExpire(ctx, key, markerTTL).Err())
}
