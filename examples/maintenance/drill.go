package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/internal/telemetry"
)

const (
	// drillTimeout bounds the store in the drill: what hangs shows soon, also on a busy machine.
	drillTimeout = 100 * time.Millisecond
	// drillWait is how long a line of the log may take to come.
	drillWait = 20 * time.Second
	drillPoll = 5 * time.Millisecond
)

// demoDrill cuts a cache off from Redis, and says which lines of the log and which metrics said so, in order.
// It needs a Redis: c.redisURL.
func demoDrill(ctx context.Context, c config, stdout io.Writer) (err error) {
	c.near = nearflag.Off // whose reads would need no Redis
	d := &drill{began: time.Now(), out: stdout}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx, c); err != nil {
		return err
	}
	say(stdout, "\nAn outage, and what said so: the log (with the seconds since the cut), and the metrics.\n\n")
	return d.run(ctx)
}

// drill is a cache of its own on a Redis that can be cut off.
type drill struct {
	a         app // has what is to be closed
	out       io.Writer
	store     store
	cache     *readthrough.Cache
	scope     *readthrough.CachedScope
	telemetry *telemetry.Metrics

	mu    sync.Mutex // guards following
	began time.Time  // when the link was cut
	said  int        // lines
}

func (d *drill) close() error { return d.a.close() }

func (d *drill) open(ctx context.Context, c config) (err error) {
	if d.store, err = d.a.openStore(ctx, c, "drill"); err != nil {
		return err
	}
	if d.telemetry, err = telemetry.New(); err != nil {
		return err
	}
	d.a.closers = append(d.a.closers, d.telemetry.Close)
	d.cache, err = readthrough.New(d.store.CacheProvider, readthrough.Options{
		Logger:            slog.New(slog.NewTextHandler(d, nil)),
		OnError:           func(*readthrough.OpError) {}, // its lines are many, and not the subject
		Observer:          d.telemetry.Observer(),
		ProviderTimeout:   drillTimeout,
		InvalidateTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	d.a.closers = append(d.a.closers, d.cache.Close)
	if err := d.telemetry.Add(d.cache); err != nil {
		return err
	}
	d.scope, err = d.cache.Scope("orders", readthrough.ScopeOptions{TTL: time.Minute})
	return err
}

// run is the outage.
func (d *drill) run(ctx context.Context) error {
	if err := errors.Join(d.read(ctx), d.cache.Ping(ctx), d.shows("before the cut", `store_breaker{.*="closed"} 1`, `invalidation_pending{.*} 0`)); err != nil {
		return err
	}
	d.mu.Lock()
	d.began = time.Now()
	d.mu.Unlock()
	d.store.link.SetCut(true)
	if err := d.cache.Ping(ctx); err != nil {
		say(d.out, "     Ping says   %s\n", ports.ReplaceAllString(err.Error(), ":PORT"))
	}
	for d.cache.StoreState().Breaker == "closed" {
		if err := d.read(ctx); err != nil { // each is answered, by the source
			return err
		}
	}
	if err := d.waitForLines(ctx, 1); err != nil {
		return err
	}
	if err := d.scope.Invalidate(ctx, "order:42"); !errors.Is(err, readthrough.ErrInvalidationPending) {
		return fmt.Errorf("an invalidation without Redis: %w", err)
	}
	if err := errors.Join(d.waitForLines(ctx, 2), d.shows("while it is cut off", `store_breaker{.*="open"} 1`, `store_breaker_opens_total.* 1`, `invalidation_pending{.*} 1`, `invalidation_pending_age_seconds.*`)); err != nil {
		return err
	}
	d.store.link.SetCut(false)
	if err := d.waitForLines(ctx, 3); err != nil { //nolint:mnd // the third line
		return err
	}
	return d.shows("after it is back", `store_breaker{.*="closed"} 1`, `invalidation_pending{.*} 0`)
}

func (d *drill) read(ctx context.Context) error {
	_, err := readthrough.Wrap(ctx, d.scope, "order:42", func(context.Context) (string, error) { return "a bicycle", nil })
	return err
}

// Write gets the lines of the log, and says each.
func (d *drill) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bytes.Contains(line, []byte("level=WARN")) {
		return len(line), nil // advice about the server is not the subject
	}
	d.said++
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), " ") // without the time
	say(d.out, "%4.1f  %s\n", time.Since(d.began).Seconds(), ports.ReplaceAllString(text, ":PORT"))
	return len(line), nil
}

// ports are those of connections, which differ from run to run.
var ports = regexp.MustCompile(`:\d{4,5}\b`)

// waitForLines waits until the log has so many.
func (d *drill) waitForLines(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, drillWait)
	defer cancel()
	again := time.NewTicker(drillPoll)
	defer again.Stop()
	for {
		d.mu.Lock()
		said := d.said
		d.mu.Unlock()
		if said >= n {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("the log has %d lines of %d about the outage: %w", said, n, ctx.Err())
		}
	}
}

// shows says what of the metrics there is, and fails if one is not there in time.
func (d *drill) shows(when string, metrics ...string) error {
	say(d.out, "     metrics     %s:\n", when)
	for _, metric := range metrics {
		pattern := regexp.MustCompile(`(?m)^readthrough_` + metric + `$`)
		line := ""
		for until := time.Now().Add(drillWait); line == ""; time.Sleep(drillPoll) {
			answer := httptest.NewRecorder()
			d.telemetry.Handler.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil))
			if line = pattern.FindString(answer.Body.String()); line == "" && time.Now().After(until) {
				return fmt.Errorf("no metric is %s", metric)
			}
		}
		say(d.out, "                 %s\n", line)
	}
	return nil
}
