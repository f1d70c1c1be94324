// Package sampler looks for stale reads while the dashboard runs. It asks the database which version each name
// has, then reads through the cache. If the cache has an older version, the change may be under way, so the sampler
// waits for longer than an invalidation takes, and reads again. A version that is still older is a stale read.
package sampler

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// grace is how long a mutation may take from its commit until its invalidation has returned: the cache waits for a
// store for a second.
const grace = 1500 * time.Millisecond

// Stats are the results so far.
type Stats struct {
	Samples int64 `json:"samples"`
	Checked int64 `json:"checked"` // versions that were compared
	Stale   int64 `json:"stale"`
	// Last names what was stale last.
	Last string `json:"last,omitempty"`
}

// Sampler compares the cache with the database. It is safe for concurrent use.
type Sampler struct {
	backends *backends.All

	mu    sync.Mutex // guards following
	stats Stats
}

// New returns a sampler that has compared nothing.
func New(b *backends.All) *Sampler { return &Sampler{backends: b} }

// Stats returns the results so far.
func (s *Sampler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Run takes a sample every so often until ctx ends.
func (s *Sampler) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			all := s.backends.Users.All()
			_ = s.Sample(ctx, all[n%len(all)].ID) //nolint:errcheck // a read that fails is not stale
		}
	}
}

// Sample compares what a user reads.
func (s *Sampler) Sample(ctx context.Context, user string) error {
	truth, err := Truth(ctx, s.backends.DB)
	if err != nil {
		return err
	}
	behind, checked, err := s.behind(ctx, user, truth)
	if err == nil && len(behind) > 0 {
		select {
		case <-time.After(grace):
		case <-ctx.Done():
			return ctx.Err()
		}
		behind, _, err = s.behind(ctx, user, behind)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Samples++
	s.stats.Checked += int64(checked)
	s.stats.Stale += int64(len(behind))
	for name := range behind {
		s.stats.Last = name
	}
	return nil
}

// behind returns those of truth that the cache has in an older version.
func (s *Sampler) behind(ctx context.Context, user string, truth view.Versions) (behind view.Versions, checked int, err error) {
	d, err := view.Refresh(ctx, s.backends, user)
	if err != nil {
		return nil, 0, err
	}
	behind = view.Versions{}
	for name, version := range d.Versions {
		if want, ok := truth[name]; ok {
			checked++
			if version < want {
				behind[name] = want
			}
		}
	}
	return behind, checked, nil
}

// Truth returns the version of every name in the database.
func Truth(ctx context.Context, db *database.DB) (view.Versions, error) {
	truth := view.Versions{}
	err := database.Each(ctx, db, func(rows *sql.Rows) error {
		var name string
		var version int64
		err := rows.Scan(&name, &version)
		truth[name] = version
		return err
	}, `SELECT name, version FROM revision UNION ALL SELECT 'maintenance:' || id, version FROM maintenance`)
	return truth, err
}
