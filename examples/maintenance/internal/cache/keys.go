package cache

import (
	"strconv"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
)

// The three families of keys.
const (
	maintenanceFamily = "maintenance:" // one maintenance, by id
	systemFamily      = "system:"      // the maintenances of one system, by id
	listFamily        = "list:"        // a listing, by its filters
)

func maintenanceKey(id int64) string { return maintenanceFamily + strconv.FormatInt(id, 10) }

func systemKey(id string) string { return systemFamily + id }

func listKey(filters service.Filters) (string, error) { return readthrough.Key(listFamily, filters) }

// targets are the entries that a change makes untrue: the maintenance, the
// systems that it affected before and those that it affects after, and every
// listing, because any of them may have to gain, lose or reorder it.
func targets(change service.Change) readthrough.Targets {
	keys := []string{maintenanceKey(change.Maintenance.ID)}
	for _, system := range change.AffectedSystems() {
		keys = append(keys, systemKey(system))
	}
	return readthrough.Targets{Keys: keys, Prefixes: []string{listFamily}}
}
