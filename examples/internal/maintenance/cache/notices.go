package cache

import (
	"context"
	"fmt"
	"strings"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// notices tell the subscribers of systems of changes, with names instead of ids. Names change without a change of
// a maintenance, so they are looked up here, outside of the cache.
type notices struct {
	userName func(id string) string
	deliver  func(ctx context.Context, text string, users ...string) error // nil: nobody is told
}

// Notify lets deliver tell the subscribers of the affected systems of every change, after its invalidation and
// before its signal. userName returns the name of a user. Call it before the first change.
func (m *Maintenances) Notify(userName func(id string) string, deliver func(ctx context.Context, text string, users ...string) error) {
	m.notices = notices{userName, deliver}
}

func (n notices) tell(ctx context.Context, s *service.Service, change service.Change) error {
	if n.deliver == nil {
		return nil
	}
	systems := change.AffectedSystems()
	users, err := s.Subscribers(ctx, systems)
	if err != nil || len(users) == 0 {
		return err
	}
	names, err := s.SystemNames(ctx, systems)
	if err != nil {
		return err
	}
	return n.deliver(ctx, n.text(change, systems, names), users...)
}

// text says what has happened. Example: Upgrade the orders database (Checkout, Orders database) is in progress.
// Jonas Weber: We have started.
func (n notices) text(change service.Change, systems []string, names map[string]string) string {
	m := change.Maintenance
	for i, id := range systems {
		if name, ok := names[id]; ok {
			systems[i] = name
		}
	}
	state := "is " + strings.ReplaceAll(string(m.Status), "_", " ")
	if change.Deleted {
		state = "was deleted"
	}
	text := fmt.Sprintf("%s (%s) %s.", m.Title, strings.Join(systems, ", "), state)
	if last := len(m.Updates) - 1; last >= 0 && !change.Deleted {
		return fmt.Sprintf("%s %s: %s", text, n.userName(m.Updates[last].Author), m.Updates[last].Message)
	}
	return fmt.Sprintf("%s Planned by %s.", text, n.userName(m.CreatedBy))
}
