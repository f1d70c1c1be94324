package memory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// The two ways to have tags, of which docs/decisions.md says why there is none. An entry may name the epochs of its tags,
// which each hit compares. Or the store may have an index from each tag to its keys, which each fill writes and each
// removal cleans.

// tagEpochs are the epochs of tags.
type tagEpochs struct{ byTag sync.Map } // from string to *atomic.Int64

func (e *tagEpochs) of(tag string) int64 {
	if n, ok := e.byTag.Load(tag); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
}

// tagIndex has the keys of each tag, and the tags of each key.
type tagIndex struct {
	mu   sync.Mutex
	keys map[string]map[provider.Key]struct{}
	tags map[provider.Key][]string
}

func (x *tagIndex) set(key provider.Key, tags []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, tag := range x.tags[key] {
		delete(x.keys[tag], key)
	}
	x.tags[key] = tags
	for _, tag := range tags {
		if x.keys[tag] == nil {
			x.keys[tag] = make(map[provider.Key]struct{})
		}
		x.keys[tag][key] = struct{}{}
	}
}

const taggedKeys = 10_000

// BenchmarkTags measures a hit and a fill with 0, 1 and 3 tags.
func BenchmarkTags(b *testing.B) {
	keys := make([]provider.Key, taggedKeys)
	for i := range keys {
		keys[i] = provider.Key{Scope: "lists", Name: fmt.Sprintf("list:%d", i)}
	}
	tagsOf := make([][]string, taggedKeys)
	for _, tags := range []int{0, 1, 3} {
		for i := range tagsOf {
			tagsOf[i] = nil
			for n := range tags {
				tagsOf[i] = append(tagsOf[i], fmt.Sprintf("memo:%d", (i*7+n)%taggedKeys))
			}
		}
		s, err := New(Options{})
		require.NoError(b, err)
		var epochs tagEpochs
		index := tagIndex{keys: make(map[string]map[provider.Key]struct{}), tags: make(map[provider.Key][]string)}
		for i, key := range keys {
			require.NoError(b, s.Set(b.Context(), key, provider.Entry{Value: i}, time.Hour))
			for _, tag := range tagsOf[i] {
				epochs.byTag.LoadOrStore(tag, new(atomic.Int64))
			}
		}
		b.Run(fmt.Sprintf("hit/tags=%d", tags), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i * 31 % taggedKeys
				_, is := s.GetValue(keys[n])
				for _, tag := range tagsOf[n] {
					if epochs.of(tag) != 0 {
						is = provider.Missing
					}
				}
				if is != provider.Present {
					b.Fatal("no hit")
				}
			}
		})
		b.Run(fmt.Sprintf("fill/tags=%d", tags), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i * 31 % taggedKeys
				if err := s.Set(b.Context(), keys[n], provider.Entry{Value: n}, time.Hour); err != nil {
					b.Fatal(err)
				}
				if tags > 0 {
					index.set(keys[n], tagsOf[n])
				}
			}
		})
	}
}
