// Package tour checks a running maintenance service from outside, over HTTP, like its
// clients. It does not know how the service works: it counts the queries that reach the
// database, and checks what it reads.
//
// The tour must be the only client: it counts queries, and it expects to read its own
// last write.
package tour

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options configure [Run]. The zero value is the whole tour.
type Options struct {
	// Readers is the number of readers of the stampede, such as 100. Zero and negative
	// mean 1,000.
	Readers int
	// Rounds is the number of changes that send signals, such as 10. Zero and negative
	// mean 50.
	Rounds int

	_ struct{}
}

func (o Options) withDefaults() Options {
	if o.Readers <= 0 {
		o.Readers = 1000
	}
	if o.Rounds <= 0 {
		o.Rounds = 50
	}
	return o
}

// ErrBroken matches the error of [Run], [RunTwo] and [RunNear] if the service broke a promise.
var ErrBroken = errors.New("promise broken")

// broken returns an error that matches [ErrBroken].
func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}

// tour is one run. Its stations run one after the other and share main.
type tour struct {
	client  *client
	options Options
	// main is the maintenance that most stations read and change. It affects all systems,
	// so its creation removed all of them from the cache.
	main maintenance
}

// station is a part of a tour. visit returns what it measured.
type station struct {
	name  string
	visit func(context.Context) (measured string, err error)
}

// visit visits the stations one after the other, and reports one line for each.
func visit(ctx context.Context, stations []station, report func(line string)) error {
	for _, s := range stations {
		began := time.Now()
		measured, err := s.visit(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		lines := strings.ReplaceAll(measured, "; ", "\n"+strings.Repeat(" ", 16))
		report(fmt.Sprintf("ok  %-10s  %s (%v)", s.name, lines, time.Since(began).Round(time.Millisecond)))
	}
	return nil
}

// Run takes the tour of the service at the URL base and reports what it measures, one
// line per station. It ends at the first broken promise, with an error that matches
// [ErrBroken]. Other errors mean that the service did not answer.
func Run(ctx context.Context, base string, report func(line string), options Options) (err error) {
	options = options.withDefaults()
	t := &tour{client: newClient(base, options.Readers), options: options}
	defer t.client.close()
	if t.main, err = t.client.create(ctx, "The tour", allSystems...); err != nil {
		return err
	}
	err = visit(ctx, []station{
		{"stampede", t.stampede},
		{"warm reads", t.warmReads},
		{"bulk", t.bulk},
		{"absence", t.absence},
		{"names", t.names},
		{"lists", t.lists},
		{"signals", t.signals},
		{"moves", t.moves},
		{"deletion", t.deletion},
	}, report)
	if err != nil {
		return err
	}
	s, err := t.client.stats(ctx)
	if err == nil {
		report("\n" + s.String())
	}
	return err
}

// queries returns how many queries reached the database while f ran.
func (t *tour) queries(ctx context.Context, f func() error) (int64, error) {
	before, err := t.client.stats(ctx)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := t.client.stats(ctx)
	return after.Database.Queries - before.Database.Queries, err
}

// expectQueries checks that exactly want queries reach the database while f runs.
func (t *tour) expectQueries(ctx context.Context, what string, want int64, f func() error) error {
	got, err := t.queries(ctx, f)
	if err == nil && got != want {
		err = broken("%s: %d queries reached the database, expected %d", what, got, want)
	}
	return err
}
