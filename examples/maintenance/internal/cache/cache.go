// Package cache reads the service through a cache and keeps the cache correct:
// every change writes, invalidates and signals, in this order.
package cache

import (
	"context"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
)

// ttl bounds how long a change stays unseen if it was made without this program,
// for example at the prompt of the database.
const ttl = 15 * time.Second

// Updated is the name of the signal for a changed maintenance.
const Updated = "maintenance.updated"

// Signal is the data of an [Updated] signal: it says what to read again.
type Signal struct {
	ID      int64 `json:"id"`
	Version int64 `json:"version"`
	Deleted bool  `json:"deleted,omitempty"`
	// SystemIDs are the systems that the maintenance affected before or after the
	// change.
	SystemIDs []string `json:"system_ids"`
}

// Broadcaster sends signals to all listeners without waiting for them.
type Broadcaster interface {
	Publish(event string, data any) error
}

// Maintenances reads and changes maintenances. Its results may be shared with
// other readers and must not be changed. It is safe for concurrent use.
type Maintenances struct {
	service *service.Service
	scope   *readthrough.CachedScope // nil: no cache
	signals Broadcaster
	reads   *latencies

	get       func(context.Context, int64) (service.Maintenance, error)
	bySystem  func(context.Context, string) ([]service.Maintenance, error)
	bySystems func(context.Context, []string) (map[string][]service.Maintenance, error)
	list      func(context.Context, service.Filters) ([]service.Maintenance, error)
}

// New returns the maintenances of s, read through c.
func New(c *readthrough.Cache, s *service.Service, signals Broadcaster) (*Maintenances, error) {
	scope, err := c.Scope("maintenance", readthrough.ScopeOptions{
		TTL:         ttl,
		NegativeTTL: ttl, // creating a maintenance invalidates its absence
		NotFound:    service.ErrNotFound,
	})
	if err != nil {
		return nil, err
	}
	return &Maintenances{
		service:   s,
		scope:     scope,
		signals:   signals,
		reads:     &latencies{},
		get:       readthrough.Memoize(scope, maintenanceKey, s.Get),
		bySystem:  readthrough.Memoize(scope, systemKey, s.BySystem),
		bySystems: readthrough.MemoizeMany(scope, systemKey, s.BySystems),
		list: func(ctx context.Context, filters service.Filters) ([]service.Maintenance, error) {
			key, err := listKey(filters)
			if err != nil {
				return nil, err
			}
			return readthrough.Wrap(ctx, scope, key, func(ctx context.Context) ([]service.Maintenance, error) {
				return s.List(ctx, filters)
			})
		},
	}, nil
}

// Uncached returns the maintenances of s and reads each from the database. It
// serves comparisons.
func Uncached(s *service.Service, signals Broadcaster) *Maintenances {
	return &Maintenances{
		service: s, signals: signals, reads: &latencies{},
		get: s.Get, bySystem: s.BySystem, bySystems: s.BySystems, list: s.List,
	}
}

// Stats returns the statistics of the cached scope.
func (m *Maintenances) Stats() readthrough.Stats { return m.scope.Stats() }

// Reads returns the number of reads and how long they took.
func (m *Maintenances) Reads() Latencies { return m.reads.snapshot() }
