package benchmarks

import (
	"context"
	"strings"
	"testing"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
	"github.com/stretchr/testify/require"
)

// otterCache is otter's own read-through.
type otterCache struct {
	cache  *otter.Cache[string, *record]
	source source
}

func newOtter(b *testing.B, entries int, recorder stats.Recorder) *otter.Cache[string, *record] {
	b.Helper()
	c, err := otter.New(&otter.Options[string, *record]{
		MaximumSize: entries, ExpiryCalculator: otter.ExpiryWriting[string, *record](ttl), StatsRecorder: recorder,
	})
	require.NoError(b, err)
	return c
}

func openOtter(b *testing.B, entries int, s source) cache {
	b.Helper()
	return &otterCache{newOtter(b, entries, nil), s}
}

// openOtterCounting opens an otter that counts hits and misses, as readthrough always
// does, and otter only if it is told to.
func openOtterCounting(b *testing.B, entries int, s source) cache {
	b.Helper()
	return &otterCache{newOtter(b, entries, stats.NewCounter()), s}
}

func (o *otterCache) read(ctx context.Context, key string) (*record, error) {
	return o.cache.Get(ctx, key, otter.LoaderFunc[string, *record](o.source.load))
}

func (o *otterCache) readMany(ctx context.Context, keys []string) (map[string]*record, error) {
	return o.cache.BulkGet(ctx, keys, otter.BulkLoaderFunc[string, *record](o.source.loadMany))
}

func (*otterCache) loadsOnce() {}

func (o *otterCache) invalidate(_ context.Context, key string) error {
	o.cache.Invalidate(key)
	return nil
}

// removePrefix is what its users do for want of better.
func (o *otterCache) removePrefix(_ context.Context, prefix string) (removed int, err error) {
	for key := range o.cache.Keys() {
		if strings.HasPrefix(key, prefix) {
			o.cache.Invalidate(key)
			removed++
		}
	}
	return removed, nil
}

func (o *otterCache) settle() { o.cache.CleanUp() }

func (o *otterCache) close() { o.cache.StopAllGoroutines() }

// otterRaw is otter as a plain cache: who misses loads, however many do.
type otterRaw struct{ *otterCache }

func openOtterRaw(b *testing.B, entries int, s source) cache {
	b.Helper()
	return readAside{plainOtter(b, entries), s}
}

func plainOtter(b *testing.B, entries int) plain {
	b.Helper()
	return &otterRaw{&otterCache{cache: newOtter(b, entries, nil)}}
}

func (o *otterRaw) get(key string) (*record, bool) { return o.cache.GetIfPresent(key) }

func (o *otterRaw) set(key string, r *record) { o.cache.Set(key, r) }
