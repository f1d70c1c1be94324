package cache

import (
	"strconv"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
)

// The three families of keys.
const (
	maintenanceFamily = "maintenance:" // one maintenance, by its id
	systemFamily      = "system:"      // the maintenances of one system, by its id
	listFamily        = "list:"        // a listing, by its filters
)

func maintenanceKey(id int64) string { return maintenanceFamily + strconv.FormatInt(id, 10) }

func systemKey(id string) string { return systemFamily + id }

func listKey(filters service.Filters) (string, error) { return readthrough.Key(listFamily, filters) }

// targets returns the entries that a change makes obsolete: the maintenance,
// the systems that it affected before and after, and every listing, because the
// change may add, remove or reorder it in any of them.
func targets(change service.Change) readthrough.Targets {
	keys := []string{maintenanceKey(change.Maintenance.ID)}
	for _, system := range change.AffectedSystems() {
		keys = append(keys, systemKey(system))
	}
	return readthrough.Targets{Keys: keys, Prefixes: []string{listFamily}}
}
