//go:build unix

package coherence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// Subjects.
const (
	subjectOurs   = "the library"
	subjectByHand = "single-flight, SET and DEL by hand"
	// The following are one cache of a hundred lines with leases, that has all the
	// rules or lacks one.
	subjectTwin        = "small cache, all rules"
	subjectClientToken = "small cache, one token per client"
	subjectNoBound     = "small cache, join without the P rule"
	subjectFenceBefore = "small cache, local fence before the delete"
)

// removePrefix deletes what begins with a prefix from a server that has nothing
// but the keys of the test.
func removePrefix(ctx context.Context, client *redis.Client, prefix string) error {
	scan := client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	var keys []string
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	if err := scan.Err(); err != nil || len(keys) == 0 {
		return err
	}
	return client.Unlink(ctx, keys...).Err()
}

func remove(ctx context.Context, client *redis.Client, t targets) error {
	if len(t.Keys) > 0 {
		keys := make([]string, len(t.Keys))
		for i, key := range t.Keys {
			keys[i] = keyPrefix + key
		}
		if err := client.Unlink(ctx, keys...).Err(); err != nil {
			return err
		}
	}
	for _, prefix := range t.Prefixes {
		if err := removePrefix(ctx, client, keyPrefix+prefix); err != nil {
			return err
		}
	}
	return nil
}

func encode(v value) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func decode(stored string) (v value, err error) {
	err = json.Unmarshal([]byte(stored), &v)
	return v, err
}

// eachOf reads keys one by one, at the same time.
func eachOf(ctx context.Context, keys []string, load loadMany, get func(context.Context, string, loadOne) (value, error)) (map[string]value, error) {
	var mu sync.Mutex // guards following
	values := make(map[string]value)
	var errs []error

	var group sync.WaitGroup
	for _, key := range keys {
		group.Go(func() {
			v, err := get(ctx, key, func(ctx context.Context) (value, error) {
				loaded, err := load(ctx, []string{key})
				return loaded[key], err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			} else {
				values[key] = v
			}
		})
	}
	group.Wait()
	return values, errors.Join(errs...)
}

// byHand is a cache as it is written by hand. An invalidation that fails is
// logged, at best.
type byHand struct {
	client *redis.Client
	ttl    time.Duration
	group  singleflight.Group
	hits   atomic.Int64
	loads  atomic.Int64
	joined atomic.Int64
}

func (b *byHand) get(ctx context.Context, key string, load loadOne) (value, error) {
	v, err, shared := b.group.Do(key, func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		if stored, err := b.client.Get(ctx, keyPrefix+key).Result(); err == nil {
			b.hits.Add(1)
			return decode(stored)
		}
		b.loads.Add(1)
		v, err := load(ctx)
		if err == nil {
			b.client.Set(ctx, keyPrefix+key, encode(v), b.ttl)
		}
		return v, err
	})
	if shared {
		b.joined.Add(1)
	}
	if err != nil {
		return value{}, err
	}
	return v.(value), nil
}

func (b *byHand) getMany(ctx context.Context, keys []string, load loadMany) (map[string]value, error) {
	return eachOf(ctx, keys, load, b.get)
}

func (b *byHand) invalidate(ctx context.Context, t targets) error {
	if remove(ctx, b.client, t) != nil {
		return errPending
	}
	return nil
}

func (b *byHand) mutate(ctx context.Context, t targets, write func()) error {
	write()
	return b.invalidate(ctx, t)
}

func (*byHand) pending() int { return 0 } // it forgets them

func (b *byHand) count(c *counters) {
	c.hits.Store(b.hits.Load())
	c.loads.Store(b.loads.Load())
	c.joined.Store(b.joined.Load())
}

func (b *byHand) close() error { return nil }

// leaseMark begins a lease. No encoded value begins so.
const leaseMark = "lease "

// fillScript stores a value if the key holds a lease.
var fillScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

// releaseScript removes a lease.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])`)

// twin is a cache with leases, without anything that a cache needs besides: no
// bounds, no outages, no holds.
type twin struct {
	client *redis.Client
	cfg    *config
	name   string // token of the client

	hits, loads, joined, refused atomic.Int64

	mu      sync.Mutex // guards following
	now     int64
	flights map[string]*twinFlight
}

type twinFlight struct {
	done  chan struct{}
	bound int64 // who began before it may take the result
	value value
	err   error
}

func newTwin(cfg *config, client *redis.Client) (*twin, error) {
	switch cfg.Subject {
	case subjectTwin, subjectClientToken, subjectNoBound, subjectFenceBefore:
		return &twin{client: client, cfg: cfg, name: newLease(), flights: make(map[string]*twinFlight)}, nil
	default:
		return nil, fmt.Errorf("no subject %q", cfg.Subject)
	}
}

func newLease() string { return fmt.Sprintf("%s%016x", leaseMark, rand.Uint64()) }

// bounded says that results have a bound. The cache that fences before the delete
// only has none either: with a bound, it would be right.
func (c *twin) bounded() bool {
	return c.cfg.Subject != subjectNoBound && c.cfg.Subject != subjectFenceBefore
}

func (c *twin) tick() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	return c.now
}

func (c *twin) get(ctx context.Context, key string, load loadOne) (value, error) {
	began := c.tick()
	for {
		c.mu.Lock()
		f := c.flights[key]
		if f == nil {
			f = &twinFlight{done: make(chan struct{})}
			c.flights[key] = f
			go func() {
				f.value, f.bound, f.err = c.fly(context.WithoutCancel(ctx), key, f, load)
				c.detach(key, f)
				close(f.done)
			}()
		} else {
			c.joined.Add(1)
		}
		c.mu.Unlock()
		<-f.done
		if f.err != nil || began < f.bound || !c.bounded() {
			return f.value, f.err
		}
	}
}

// detach makes a flight one that nobody joins.
func (c *twin) detach(key string, f *twinFlight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}

func (c *twin) fly(ctx context.Context, key string, f *twinFlight, load loadOne) (v value, bound int64, err error) {
	lease := newLease()
	if c.cfg.Subject == subjectClientToken {
		lease = c.name
	}
	for deadline := time.Now().Add(c.cfg.LeaseWait); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		bound = c.tick()
		stored, err := c.client.SetArgs(ctx, keyPrefix+key, lease, redis.SetArgs{Mode: "NX", Get: true, TTL: c.cfg.LeaseTTL}).Result()
		switch {
		case errors.Is(err, redis.Nil) || err == nil && stored == lease:
			bound = c.tick()
			c.loads.Add(1)
			v, err := load(ctx)
			c.detach(key, f)
			if err != nil {
				c.release(ctx, key, lease)
				return v, bound, err
			}
			sent := c.tick()
			done, err := fillScript.Run(ctx, c.client, []string{keyPrefix + key}, lease, encode(v), c.cfg.TTL.Milliseconds()).Int()
			if err == nil && done == 1 {
				return v, sent, nil
			}
			c.refused.Add(1)
			return v, bound, nil
		case err == nil && !strings.HasPrefix(stored, leaseMark):
			c.hits.Add(1)
			v, err := decode(stored)
			return v, bound, err
		}
	}
	bound = c.tick()
	c.loads.Add(1)
	v, err = load(ctx)
	return v, bound, err
}

// release gives a lease back.
func (c *twin) release(ctx context.Context, key, lease string) {
	releaseScript.Run(ctx, c.client, []string{keyPrefix + key}, lease)
}

func (c *twin) getMany(ctx context.Context, keys []string, load loadMany) (map[string]value, error) {
	return eachOf(ctx, keys, load, c.get)
}

func (c *twin) invalidate(ctx context.Context, t targets) error {
	if c.cfg.Subject == subjectFenceBefore {
		c.fence(t)
	}
	err := remove(ctx, c.client, t)
	if c.cfg.Subject != subjectFenceBefore {
		c.fence(t)
	}
	if err != nil {
		return errPending
	}
	return nil
}

// fence detaches the flights that t covers.
func (c *twin) fence(t targets) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range t.Keys {
		delete(c.flights, key)
	}
	for _, prefix := range t.Prefixes {
		for key := range c.flights {
			if strings.HasPrefix(key, prefix) {
				delete(c.flights, key)
			}
		}
	}
}

func (c *twin) mutate(ctx context.Context, t targets, write func()) error {
	write()
	return c.invalidate(ctx, t)
}

func (*twin) pending() int { return 0 }

func (c *twin) count(n *counters) {
	n.hits.Store(c.hits.Load())
	n.loads.Store(c.loads.Load())
	n.joined.Store(c.joined.Load())
	n.refused.Store(c.refused.Load())
}

func (c *twin) close() error { return nil }
