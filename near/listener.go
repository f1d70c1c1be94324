package near

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// listener is the store as a member of the far store.
type listener Store

// Removed implements [provider.Listener]. The fence moves first; see there.
func (l *listener) Removed(removed provider.Removed) {
	s, ctx := (*Store)(l), nobody()
	s.fence.move(&removed)
	n := 0
	for _, key := range removed.Keys {
		if there, err := s.memory.Has(ctx, key); err == nil && there {
			n++
		}
	}
	if err := s.memory.Delete(ctx, removed.Keys...); err != nil {
		return // closed: it is empty
	}
	for _, prefix := range removed.Prefixes {
		some, err := s.memory.DeletePrefix(ctx, prefix.Scope, prefix.Name)
		if err != nil {
			return
		}
		n += some
	}
	s.dropped.Add(int64(n))
}

// Lost implements [provider.Listener].
func (l *listener) Lost() {
	s := (*Store)(l)
	s.fence.moveAll()
	if stats, err := s.memory.Stats(nobody()); err == nil {
		s.lost.Add(stats.Entries)
	}
	s.memory.Clear()
}

// ServeUntil implements [provider.Listener].
func (l *listener) ServeUntil(t time.Time) { l.memory.ServeUntil(t) }
