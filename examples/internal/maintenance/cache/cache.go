// Package cache reads the service through a cache and keeps the cache correct:
// every change writes, invalidates and signals, in this order.
package cache

import (
	"context"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
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
	signals Broadcaster
	reads   *latencies
	notices notices // see Notify

	// What is cached: a maintenance by its id, the maintenances of a system by its
	// id, and listings by their filters. nil: no cache.
	maintenances *readthrough.Family[int64, service.Maintenance]
	systems      *readthrough.Family[string, []service.Maintenance]
	lists        *readthrough.List[service.Filters, []service.Maintenance]

	// The reads: those of the families, or of the service.
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
	m := &Maintenances{service: s, signals: signals, reads: &latencies{}}
	if m.maintenances, err = readthrough.NewFamily(scope, "maintenance:", readthrough.Loads[int64, service.Maintenance]{One: s.Get}); err != nil {
		return nil, err
	}
	if m.systems, err = readthrough.NewFamily(scope, "system:", readthrough.Loads[string, []service.Maintenance]{One: s.BySystem, Many: s.BySystems}); err != nil {
		return nil, err
	}
	if m.lists, err = readthrough.NewList(scope, "list:", s.List); err != nil {
		return nil, err
	}
	m.get, m.bySystem, m.bySystems, m.list = m.maintenances.Get, m.systems.Get, m.systems.GetMany, m.lists.Get
	return m, nil
}

// Uncached returns the maintenances of s and reads each from the database. It
// serves comparisons.
func Uncached(s *service.Service, signals Broadcaster) *Maintenances {
	return &Maintenances{
		service: s, signals: signals, reads: &latencies{},
		get: s.Get, bySystem: s.BySystem, bySystems: s.BySystems, list: s.List,
	}
}

// stale returns the entries that a change makes obsolete: the maintenance,
// the systems that it affected before and after, and every listing, because the
// change may add, remove or reorder it in any of them.
func (m *Maintenances) stale(change service.Change) readthrough.Targets {
	return m.maintenances.Of(change.Maintenance.ID).And(m.systems.Of(change.AffectedSystems()...), m.lists.All())
}

// Stats returns the statistics of the cached scope.
func (m *Maintenances) Stats() readthrough.Stats { return m.maintenances.Scope().Stats() }

// Reads returns the number of reads and how long they took.
func (m *Maintenances) Reads() Latencies { return m.reads.snapshot() }
