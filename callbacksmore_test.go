package readthrough_test

import (
	"context"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// newFamily returns a family all of whose functions attack.
func (s *siege) newFamily() *readthrough.Family[int, siegeValue] {
	family, err := readthrough.NewFamily(s.scope, "f:", readthrough.Loads[int, siegeValue]{
		One: func(ctx context.Context, _ int) (siegeValue, error) { return s.loadOfFamily(ctx) },
		Many: func(ctx context.Context, ids []int) (map[int]siegeValue, error) {
			value, err := s.loadOfFamily(ctx)
			values := make(map[int]siegeValue)
			for _, id := range ids {
				values[id] = value
			}
			return values, err
		},
		AppendID: func(b []byte, id int) []byte {
			s.called(s.t.Context(), "family key")
			return strconv.AppendInt(b, int64(id), 10)
		},
		Clone: func(value siegeValue) siegeValue {
			s.called(s.t.Context(), "clone")
			return value
		},
	})
	require.NoError(s.t, err)
	return family
}

func (s *siege) loadOfFamily(ctx context.Context) (siegeValue, error) {
	s.called(ctx, "load of a family")
	time.Sleep(time.Millisecond)
	if s.failing.Load() {
		return "", siegeError{s}
	}
	return "value", nil
}

// siegeBatches are run after siegeOperations: families, batches, and changes of several scopes.
var siegeBatches = []siegeOperation{
	{"reads of a family", func(s *siege, ctx context.Context) { _, _ = s.family.Get(ctx, 1) }},
	{"hits of a family", func(s *siege, ctx context.Context) { _, _ = s.family.Get(ctx, 1) }},
	{"bulk reads of a family", func(s *siege, ctx context.Context) { _, _ = s.family.GetMany(ctx, []int{1, 2, 3}) }},
	{"looks at a family", func(s *siege, ctx context.Context) { _, _, _ = s.family.Peek(ctx, 1) }},
	{"refreshes of a family", func(s *siege, ctx context.Context) { _, _ = s.family.RefreshMany(ctx, []int{1, 2}) }},
	{"a change of a family", func(s *siege, ctx context.Context) { _ = s.cache.Invalidate(ctx, s.family.Of(1, 2)) }},
	{"a batch", func(s *siege, ctx context.Context) { s.batch(ctx, nil) }},
	{"a batch of which nobody knows the end", func(s *siege, ctx context.Context) { s.batch(ctx, commitError{s}) }},
	{"a batch that the store does not confirm", func(s *siege, ctx context.Context) {
		s.store.fail(faultError, "delete", "deletePrefix")
		defer s.store.heal()
		s.batch(ctx, nil)
	}},
	{"a change of several scopes", func(s *siege, ctx context.Context) { s.mutateBoth(ctx) }},
	{"a change of several scopes that the store does not confirm", func(s *siege, ctx context.Context) {
		s.store.fail(faultError, "delete", "deletePrefix")
		defer s.store.heal()
		s.mutateBoth(ctx)
	}},
	{"a change of several scopes during their loads", func(s *siege, ctx context.Context) {
		reading := s.readSlowly(ctx, "k")
		time.Sleep(time.Millisecond)
		s.mutateBoth(ctx)
		<-reading
	}},
	{"recovery of all", func(*siege, context.Context) { time.Sleep(recovery) }},
}

// commitError is siegeError for commits.
type commitError struct{ *siege }

func (e commitError) Error() string { e.called(e.t.Context(), "commit error"); return "siege" }
func (e commitError) Is(error) bool { e.called(e.t.Context(), "commit error"); return false }

// batch changes something in a transaction whose commit returns err.
func (s *siege) batch(ctx context.Context, err error) {
	batch := s.cache.Collect()
	defer batch.Discard()
	in := batch.In(ctx)
	for range 2 {
		_, _ = readthrough.Mutate(in, s.scope, readthrough.Mutation[int]{
			Write: func(ctx context.Context) (int, error) { s.called(ctx, "batch write"); return 1, nil },
			Invalidate: func(int) readthrough.Targets {
				s.called(in, "batch targets")
				return s.scope.Of("k").And(s.other.Of("k"))
			},
			Emit:    func(ctx context.Context, _ int) error { s.called(ctx, "batch emit"); return nil },
			Hold:    readthrough.Targets{Keys: []string{"k"}},
			HoldFor: 1000 * time.Hour,
		})
	}
	_, _ = s.read(in, "k")
	_ = batch.Done(ctx, err)
}

// mutateBoth changes something that makes keys of two scopes stale, and keys and prefixes of one.
func (s *siege) mutateBoth(ctx context.Context) {
	both := func() readthrough.Targets {
		return s.scope.Of("k", "e").And(s.other.Of("k"), s.scope.Under("m"), s.other.Under("m"))
	}
	_, _ = readthrough.Mutate(ctx, s.scope, readthrough.Mutation[int]{
		Write:      func(ctx context.Context) (int, error) { s.called(ctx, "shared write"); return 1, nil },
		Invalidate: func(int) readthrough.Targets { s.called(ctx, "shared targets"); return both() },
		Emit:       func(ctx context.Context, _ int) error { s.called(ctx, "shared emit"); return nil },
		Hold:       both(),
		HoldFor:    1000 * time.Hour,
	})
}

// nearUnderSiege is a near cache in front of a shared store. Its members have long leases: heartbeats cost processor
// time, and a siege takes hours.
func nearUnderSiege(s *siege) provider.CacheProvider {
	const lease = time.Hour
	below := neartest.NewStore(s.t.Context(), neartest.NewServer(), lease)
	s.store, s.settles = plain(below), 2*lease
	store, err := near.New(struct {
		*double
		provider.Batcher
		provider.Leaser
		provider.Refresher
		provider.Renewer
		provider.Holder
		provider.TTLGetter
		provider.Announcer
		siegeCodec
		asCloserOf
	}{
		s.store, asBatcher{s.store}, asLeaser{s.store}, asRefresher{s.store}, below, asHolder{s.store}, below, below, siegeCodec{s}, asCloserOf{below},
	}, near.Options{Strict: true, Weigher: func(provider.Key, provider.Entry) int64 { s.called(s.t.Context(), "weigher"); return 1 }})
	require.NoError(s.t, err)
	return store
}

// asCloserOf closes a store below.
type asCloserOf struct{ below *neartest.Store }

func (c asCloserOf) Close() error { return c.below.Close() }
