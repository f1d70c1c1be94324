// Package service keeps maintenance windows in a database and enforces their
// rules. It knows the database only: no caches, no HTTP, no signals, no names
// of users.
package service

import (
	"slices"
	"time"
)

// Status is the state of a maintenance.
type Status string

// The statuses. A new maintenance is planned. A completed or cancelled one
// never changes again.
const (
	Planned    Status = "planned"
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Cancelled  Status = "cancelled"
)

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool {
	return s == Planned || s == InProgress || s.Final()
}

// Final reports whether a maintenance in status s never changes again.
func (s Status) Final() bool { return s == Completed || s == Cancelled }

// canBecome reports whether a maintenance in status s may change to next.
func (s Status) canBecome(next Status) bool {
	switch s {
	case Planned:
		return next == InProgress || next == Cancelled
	case InProgress:
		return next == Completed || next == Cancelled
	default:
		return false
	}
}

// System is something that a maintenance can affect.
type System struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Maintenance is a maintenance window. The service's results are cached and
// shared between requests: nobody may change what they refer to.
type Maintenance struct {
	ID int64 `json:"id"`
	// Version counts the changes, starting at 1.
	Version     int64     `json:"version"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Status      Status    `json:"status"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	// SystemIDs are the affected systems, sorted.
	SystemIDs []string `json:"system_ids"`
	// Updates are the reports about the maintenance, oldest first.
	Updates []Update `json:"updates"`
	// CreatedBy is the id of a user. The name is not stored here, because names
	// change independently.
	CreatedBy string `json:"created_by"`
}

// Update is a report about a maintenance.
type Update struct {
	At      time.Time `json:"at"`
	Author  string    `json:"author"`
	Message string    `json:"message"`
	// Status is the new status, empty if the update did not change it.
	Status Status `json:"status,omitempty"`
}

// Draft is a maintenance to create.
type Draft struct {
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	SystemIDs   []string  `json:"system_ids"`
	CreatedBy   string    `json:"created_by"`
}

// Patch changes the fields of a maintenance that are not nil.
type Patch struct {
	// Version is the version that the change is based on. If another change
	// came first, the patch is refused. nil means any version.
	Version     *int64     `json:"version"`
	Title       *string    `json:"title"`
	Description *string    `json:"description"`
	Start       *time.Time `json:"start"`
	End         *time.Time `json:"end"`
	SystemIDs   *[]string  `json:"system_ids"`
}

// Report is an update to add to a maintenance.
type Report struct {
	Author  string `json:"author"`
	Message string `json:"message"`
	// Status is the new status; empty means no change.
	Status Status `json:"status"`
}

// Closing ends a maintenance.
type Closing struct {
	Author string `json:"author"`
	// Message is the last update; empty means a standard text.
	Message string `json:"message"`
	// Outcome is Completed or Cancelled; empty means Completed.
	Outcome Status `json:"outcome"`
}

// Change is the result of a mutation. It is read inside the transaction of the
// mutation, so that no other mutation can come in between.
type Change struct {
	// Maintenance is the maintenance after the change, or its last state if it
	// was deleted. In both cases the change has its own version.
	Maintenance Maintenance
	// Deleted means that the maintenance was deleted.
	Deleted bool
	// Before and After are the affected systems before and after the change.
	Before, After []string
}

// AffectedSystems returns every system that the maintenance affected before or
// after the change, sorted and without duplicates.
func (c Change) AffectedSystems() []string {
	return sortedSet(slices.Concat(c.Before, c.After))
}

// sortedSet returns a sorted copy of values without duplicates.
func sortedSet[T ~string](values []T) []T {
	set := slices.Clone(values)
	slices.Sort(set)
	return slices.Compact(set)
}
