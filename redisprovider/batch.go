package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// The limits of one round trip. Redis serves no other client while it answers an
// MGET, and a pipeline is held in memory as a whole.
const (
	maxBatch      = 10_000   // keys or commands
	maxBatchBytes = 16 << 20 // frames to store
)

// GetMany implements [provider.Batcher]. On one server it sends one MGET, or one
// GET for a single key; on a cluster, one pipeline per node. With a fence it sends
// one script per bucket. If a node does not answer, only the keys of its slots get
// an error.
func (p *Provider) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	if err := p.usable(ctx); err != nil {
		results := make([]provider.Result, len(keys))
		for i := range results {
			results[i].Err = err
		}
		return results, err
	}
	var results []provider.Result
	for part := range slices.Chunk(p.keysOf(keys), maxBatch) {
		if fetched := p.fetch(ctx, part); results == nil {
			results = fetched // usually the only part
		} else {
			results = append(results, fetched...)
		}
	}
	return results, wholeError(results)
}

// wholeError returns the error of a call that could not ask for any key, nil for
// any other call.
func wholeError(results []provider.Result) error {
	if len(results) == 0 {
		return nil
	}
	for _, r := range results {
		if r.Err == nil || errors.Is(r.Err, provider.ErrUndecodable) {
			return nil
		}
	}
	return results[0].Err
}

// mget asks one server for all keys at once.
func (p *Provider) mget(ctx context.Context, keys []string) []provider.Result {
	values, err := p.client.MGet(ctx, keys...).Result()
	if err == nil && len(values) != len(keys) {
		err = fmt.Errorf("%d answers to %d keys", len(values), len(keys))
	}
	if err != nil {
		p.notice(ctx, err)
		return failedResults(keys, err)
	}
	results := make([]provider.Result, len(keys))
	for i, value := range values {
		data, ok := value.(string)
		if !ok {
			continue // nil: no entry, or no string
		}
		results[i].Entry, results[i].Found, results[i].Err = p.decodeAnswer(data)
		if results[i].Err != nil {
			results[i].Err = failed("get", keys[i], results[i].Err)
		}
	}
	return results
}

// pipelineGet asks each node of a cluster for its keys in one pipeline.
func (p *Provider) pipelineGet(ctx context.Context, keys []string) []provider.Result {
	pipe := p.client.Pipeline()
	answers := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		answers[i] = pipe.Get(ctx, key)
	}
	_, pipeErr := pipe.Exec(ctx)
	p.notice(ctx, pipeErr)
	results := make([]provider.Result, len(keys))
	for i, answer := range answers {
		entry, found, err := p.read(answer)
		if unanswered(answer, pipeErr) {
			err = pipeErr
		}
		if err != nil {
			results[i].Err = failed("get", keys[i], err)
			continue
		}
		results[i] = provider.Result{Entry: entry, Found: found}
	}
	return results
}

// unanswered reports whether a command of a failed pipeline has neither a value nor
// an error. A hook of the client that ends the pipeline itself leaves commands in
// this state. An entry is never an empty string.
func unanswered(answer *redis.StringCmd, pipeErr error) bool {
	return pipeErr != nil && !errors.Is(pipeErr, redis.Nil) && answer.Err() == nil && answer.Val() == ""
}

// failedResults returns the results of keys that could not be asked for.
func failedResults(keys []string, err error) []provider.Result {
	err = failedMany("get", keys, err)
	results := make([]provider.Result, len(keys))
	for i := range results {
		results[i].Err = err
	}
	return results
}

// SetMany implements [provider.Batcher]: one script per item, all in one round
// trip. Each item behaves as in Set. Items with the same key are stored in their
// order.
func (p *Provider) SetMany(ctx context.Context, items []provider.Item) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	var errs []error
	var valid []provider.Item
	for _, item := range items {
		if err := provider.CheckTTL(item.TTL); err != nil {
			errs = append(errs, failed("set", p.keyOf(item.Key), err))
		} else {
			valid = append(valid, item)
		}
	}
	reasons := make([]error, len(valid)) // why items are refused, nil for the others
	answers := p.run(ctx, len(valid), func(i int) call {
		var c call
		c, reasons[i] = p.setCall(valid[i])
		return c
	})
	var failures failureGroups
	for i, answer := range answers {
		name, err := p.keyOf(valid[i].Key), answer.Err()
		switch {
		case reasons[i] != nil:
			errs = append(errs, failed("set", name, refused(reasons[i], err)))
		case err != nil:
			failures.add(name, err) // items that failed for the same reason share an error
		}
	}
	return errors.Join(append(errs, failures.errors("set")...)...)
}

// failureGroups groups keys by the text of their error. The groups are in the order
// of their first keys.
type failureGroups struct {
	groups []failureGroup
	index  map[string]int // the group of a text
}

type failureGroup struct {
	err  error
	keys []string
}

func (g *failureGroups) add(key string, err error) {
	i, ok := g.index[err.Error()]
	if !ok {
		if g.index == nil {
			g.index = make(map[string]int)
		}
		i = len(g.groups)
		g.index[err.Error()] = i
		g.groups = append(g.groups, failureGroup{err: err})
	}
	g.groups[i].keys = append(g.groups[i].keys, key)
}

func (g *failureGroups) errors(op string) []error {
	errs := make([]error, 0, len(g.groups))
	for _, group := range g.groups {
		errs = append(errs, failedMany(op, group.keys, group.err))
	}
	return errs
}
