package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

func TestNestedLoadsOfOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		value, err := readthrough.Wrap(t.Context(), s, "sum", func(ctx context.Context) (int, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"a", "b"}, self, readthrough.Each(2, func(ctx context.Context, id string) (int, error) {
				return readthrough.Wrap(ctx, s, "part:"+id, func(context.Context) (int, error) { return len(id), nil })
			}))
			return values["a"] + values["b"], err
		})
		want(t, "nested", value, err, 2)
		assert.Equal(t, int64(4), s.Stats().Loads, "loads")
		wantIdle(t, s)
	})
}

func TestDeadContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t), newSource(7)
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := readthrough.Wrap(dead, s, "k", src.load)
		assert.ErrorIs(t, err, context.Canceled, "miss")
		_, err = readthrough.WrapMany(dead, s, []string{"k", "l"}, self, many(src.load))
		assert.ErrorIs(t, err, context.Canceled, "bulk miss")
		wantIdle(t, s)
		wantLoads(t, &src.loads, 0)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "load", value, err, 7)
		value, err = readthrough.Wrap(dead, s, "k", src.load)
		want(t, "hit", value, err, 7)
		values, err := readthrough.WrapMany(dead, s, []string{"k"}, self, many(src.load))
		want(t, "bulk hit", values["k"], err, 7)
		values, err = readthrough.WrapMany(dead, s, []string{"k", "l"}, self, many(src.load))
		assert.ErrorIs(t, err, context.Canceled, "bulk hit and miss")
		assert.Equal(t, 7, values["k"], "bulk hit and miss")
		wantLoads(t, &src.loads, 1)
		wantIdle(t, s)
	})
}

// TestNotFoundOfTheService: a repository keeps its own error, and it comes back.
func TestNotFoundOfTheService(t *testing.T) {
	own := errors.New("maintenance: no such maintenance")
	both := fmt.Errorf("%w: of the service", readthrough.ErrNotFound)
	for name, notFound := range map[string]error{"own": own, "own that matches ours": both, "none": nil} {
		t.Run(name, func(t *testing.T) {
			s := newScope(t, with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { so.NotFound = notFound }))
			loads := 0
			said := notFound
			if said == nil {
				said = readthrough.ErrNotFound
			}
			for i := range 3 {
				_, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) {
					loads++
					return 0, fmt.Errorf("load: %w", said)
				})
				assert.ErrorIs(t, err, said, "read %d", i)
				if i > 0 {
					assert.ErrorIs(t, err, readthrough.ErrNotFound, "read %d", i)
				}
			}
			assert.Equal(t, 1, loads, "loads")
			_, err := readthrough.Wrap(t.Context(), s, "ours", func(context.Context) (int, error) { return 0, readthrough.ErrNotFound })
			assert.ErrorIs(t, err, readthrough.ErrNotFound, "ErrNotFound is understood in every case")
			has, err := s.Has(t.Context(), "ours")
			assert.NoError(t, err, "Has: the absence is stored")
			assert.True(t, has, "Has: the absence is stored")
		})
	}
}

// TestUnusualKeysThatAreFine: no byte of a key is special.
func TestUnusualKeysThatAreFine(t *testing.T) {
	s := newScope(t)
	keys := []string{" ", "\x00", "\xff\xfe", "*", "?", "[a-z]", `\`, "a:b:c", "\n", "日本", longest}
	for i, key := range keys {
		for range 2 {
			got, err := readthrough.Wrap(t.Context(), s, key, func(context.Context) (int, error) { return i, nil })
			want(t, fmt.Sprintf("key %d", i), got, err, i)
		}
	}
	for _, key := range keys {
		removed, err := s.InvalidatePrefix(t.Context(), key)
		want(t, fmt.Sprintf("removed under %.10q", key), removed, err, 1)
	}
}

// TestHugeValues: a value of 100 MiB is served, and kept if the store wants to.
func TestHugeValues(t *testing.T) {
	const size = 100 << 20
	value := make([]byte, size)
	loads := 0
	load := func(context.Context) ([]byte, error) { loads++; return value, nil }
	t.Run("kept", func(t *testing.T) {
		loads = 0
		s := newScope(t)
		for range 2 {
			got, err := readthrough.Wrap(t.Context(), s, "k", load)
			assert.NoError(t, err, "the very value")
			if assert.Equal(t, size, len(got), "bytes") { //nolint:testifylint // not to print them all
				assert.Same(t, &value[0], &got[0], "the very value")
			}
		}
		assert.Equal(t, 1, loads, "loads")
	})
	heavy, err := memory.New(memory.Options{MaxWeight: 1 << 20, Weigher: func(_ provider.Key, e provider.Entry) int64 {
		b, _ := e.Value.([]byte)
		return int64(len(b))
	}})
	require.NoError(t, err)
	refusing := plain(newStore(t))
	refusing.fail(faultTooLarge, "set")
	for name, store := range map[string]provider.CacheProvider{"refused by its weight": heavy, "refused": refusing} {
		t.Run(name, func(t *testing.T) {
			loads = 0
			var told reports
			s := newScope(t, on(store), told.collect())
			for range 2 {
				got, err := readthrough.Wrap(t.Context(), s, "k", load)
				assert.NoError(t, err)
				assert.Equal(t, size, len(got), "bytes") //nolint:testifylint // not to print them all
			}
			assert.Equal(t, 2, loads, "loads")
			assert.Eventually(t, func() bool { errs, _ := told.all(); return len(errs) >= loads }, proofs.Patience(), time.Millisecond, "reports") // after the reads
			errs, ops := told.all()
			if assert.Len(t, errs, 2, "reported: the value is too large") {
				assert.ErrorIs(t, errs[0], provider.ErrTooLarge, "reported: the value is too large")
				assert.Equal(t, "set test k", ops[0], "reported: the value is too large")
			}
		})
	}
	runtime.KeepAlive(value)
}
