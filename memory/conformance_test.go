package memory

import (
	"testing"

	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
)

func TestConformance(t *testing.T) {
	t.Run("real time", func(t *testing.T) {
		providertest.Run(t, func(t *testing.T) provider.CacheProvider {
			t.Helper()
			return newStore(t, Options{})
		})
	})
	weigh := func(k provider.Key, _ provider.Entry) int64 { return int64(len(k.Name)) }
	for name, options := range map[string]Options{
		"default": {},
		"entries": {MaxEntries: 1 << 20},
		"weight":  {MaxWeight: 1 << 40, Weigher: weigh},
		"both":    {MaxEntries: 1 << 20, MaxWeight: 1 << 40, Weigher: weigh},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := func(t *testing.T) provider.CacheProvider {
				t.Helper()
				return newStore(t, options)
			}
			providertest.RunSynctest(t, fresh)
		})
	}
}
