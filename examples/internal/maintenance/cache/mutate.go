package cache

import (
	"context"
	"errors"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// Create creates a maintenance.
func (m *Maintenances) Create(ctx context.Context, draft service.Draft) (service.Maintenance, error) {
	return m.mutate(ctx, func(ctx context.Context) (service.Change, error) {
		return m.service.Create(ctx, draft)
	})
}

// Update changes fields of a maintenance.
func (m *Maintenances) Update(ctx context.Context, id int64, patch service.Patch) (service.Maintenance, error) {
	return m.mutate(ctx, func(ctx context.Context) (service.Change, error) {
		return m.service.Update(ctx, id, patch)
	})
}

// AddUpdate adds an update to a maintenance.
func (m *Maintenances) AddUpdate(ctx context.Context, id int64, report service.Report) (service.Maintenance, error) {
	return m.mutate(ctx, func(ctx context.Context) (service.Change, error) {
		return m.service.AddUpdate(ctx, id, report)
	})
}

// CloseMaintenance ends a maintenance.
func (m *Maintenances) CloseMaintenance(
	ctx context.Context, id int64, closing service.Closing,
) (service.Maintenance, error) {
	return m.mutate(ctx, func(ctx context.Context) (service.Change, error) {
		return m.service.CloseMaintenance(ctx, id, closing)
	})
}

// Delete deletes a maintenance and returns its last state.
func (m *Maintenances) Delete(ctx context.Context, id int64) (service.Maintenance, error) {
	return m.mutate(ctx, func(ctx context.Context) (service.Change, error) {
		return m.service.Delete(ctx, id)
	})
}

// mutate writes, invalidates what the write touched, and signals the clients,
// who then read the new value.
//
// If the store does not confirm the invalidation, mutate still signals the
// clients. They are clients of this process, whose readers see the change at
// once. Other processes see it when the store answers again.
func (m *Maintenances) mutate(
	ctx context.Context, write func(context.Context) (service.Change, error),
) (service.Maintenance, error) {
	if m.maintenances == nil { // nothing to invalidate
		change, err := write(ctx)
		if err == nil {
			err = m.broadcast(ctx, change)
		}
		return change.Maintenance, err
	}
	var written service.Change // also if nobody knows whether it was committed
	change, err := readthrough.Mutate(ctx, m.maintenances.Scope(), readthrough.Mutation[service.Change]{
		Write: func(ctx context.Context) (_ service.Change, err error) {
			written, err = write(ctx)
			return written, database.Unchanged(err)
		},
		Invalidate: m.stale,
		Emit:       m.broadcast,
	})
	if errors.Is(err, service.ErrOutcomeUnknown) { // what it may have changed is invalidated
		err = errors.Join(err, m.broadcast(ctx, written))
	}
	return change.Maintenance, err
}

// broadcast tells the subscribers of the systems, and all clients.
func (m *Maintenances) broadcast(ctx context.Context, change service.Change) error {
	return errors.Join(m.notices.tell(ctx, m.service, change), m.signals.Publish(Updated, Signal{
		ID:        change.Maintenance.ID,
		Version:   change.Maintenance.Version,
		Deleted:   change.Deleted,
		SystemIDs: change.AffectedSystems(),
	}))
}

// Forget invalidates a maintenance, as after a change: the next read finds
// nothing in the cache.
func (m *Maintenances) Forget(ctx context.Context, id int64) error {
	if m.maintenances == nil {
		return nil
	}
	return m.maintenances.Invalidate(ctx, id)
}
