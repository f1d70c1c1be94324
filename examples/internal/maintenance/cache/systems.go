package cache

import (
	"context"
	"database/sql"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// SystemDeleted is the hook for who deletes a system: in the transaction, it takes the system out of its
// maintenances, and it returns which entries are stale after the commit.
func (m *Maintenances) SystemDeleted(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error) {
	ids, systems, err := m.service.Detach(ctx, tx, system)
	return m.maintenances.Of(ids...).And(m.systems.Of(systems...), m.lists.All()), err
}

// DeleteSystem deletes a system. The clients are told to read everything again.
func (m *Maintenances) DeleteSystem(ctx context.Context, system string) error {
	write := func(ctx context.Context) (stale readthrough.Targets, err error) {
		err = m.service.DeleteSystem(ctx, system, func(tx *sql.Tx) error {
			if m.maintenances == nil { // nothing to invalidate
				_, _, err := m.service.Detach(ctx, tx, system)
				return err
			}
			stale, err = m.SystemDeleted(ctx, tx, system)
			return err
		})
		return stale, database.Unchanged(err)
	}
	emit := func(context.Context, readthrough.Targets) error { return m.signals.Publish(signals.Resync, struct{}{}) }
	if m.maintenances == nil {
		if _, err := write(ctx); err != nil {
			return err
		}
		return emit(ctx, readthrough.Targets{})
	}
	_, err := readthrough.Mutate(ctx, m.maintenances.Scope(), readthrough.Mutation[readthrough.Targets]{
		Write:      write,
		Invalidate: func(stale readthrough.Targets) readthrough.Targets { return stale },
		Emit:       emit,
	})
	return err
}

// Subscribe lets a user be told of the maintenances of a system. Nothing of it is cached.
func (m *Maintenances) Subscribe(ctx context.Context, user, system string) error {
	return m.service.Subscribe(ctx, user, system)
}

// Unsubscribe ends that.
func (m *Maintenances) Unsubscribe(ctx context.Context, user, system string) error {
	return m.service.Unsubscribe(ctx, user, system)
}
