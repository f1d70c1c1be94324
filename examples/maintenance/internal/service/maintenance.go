// Package service keeps maintenance windows in a database and enforces their
// rules. It knows the database only: nothing of caches, of HTTP, of signals, or
// of the names of users.
package service

import (
	"slices"
	"time"
)

// Status is where a maintenance stands.
type Status string

// The statuses. A maintenance is planned first; completed and cancelled ones
// never change again.
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

// Maintenance is a maintenance window. The values that the service returns are
// cached and shared between requests: nobody changes what is behind them.
type Maintenance struct {
	ID int64 `json:"id"`
	// Version counts the changes, from 1 on.
	Version     int64     `json:"version"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Status      Status    `json:"status"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	// SystemIDs are the systems that it affects, sorted.
	SystemIDs []string `json:"system_ids"`
	// Updates are what was reported about it, the oldest first.
	Updates []Update `json:"updates"`
	// CreatedBy is the id of a user. The name is not kept here, because names
	// change without the maintenance knowing.
	CreatedBy string `json:"created_by"`
}

// Update is a report about a maintenance.
type Update struct {
	At      time.Time `json:"at"`
	Author  string    `json:"author"`
	Message string    `json:"message"`
	// Status is what the update changed the status to, empty if it did not.
	Status Status `json:"status,omitempty"`
}

// Draft is a maintenance to be created.
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
	// Version is the version that the change was made for. If another change
	// came first, the patch is refused. nil: whatever the version is.
	Version     *int64     `json:"version"`
	Title       *string    `json:"title"`
	Description *string    `json:"description"`
	Start       *time.Time `json:"start"`
	End         *time.Time `json:"end"`
	SystemIDs   *[]string  `json:"system_ids"`
}

// Report is an update to be added to a maintenance.
type Report struct {
	Author  string `json:"author"`
	Message string `json:"message"`
	// Status is what the status changes to; empty: it stays.
	Status Status `json:"status"`
}

// Closing ends a maintenance.
type Closing struct {
	Author string `json:"author"`
	// Message is the last update; empty: a standard one.
	Message string `json:"message"`
	// Outcome is Completed or Cancelled; empty: Completed.
	Outcome Status `json:"outcome"`
}

// Change is what a mutation did. It is read inside the mutation's transaction,
// so that no other mutation can come between what it says and what it did.
type Change struct {
	// Maintenance is the maintenance after the change, or what it last was if
	// it was deleted. Either way the change has a version of its own.
	Maintenance Maintenance
	// Deleted says that it is gone.
	Deleted bool
	// Before and After are the systems that it affected before and after.
	Before, After []string
}

// AffectedSystems returns every system that the maintenance affected before or
// after the change, sorted, each once.
func (c Change) AffectedSystems() []string {
	return sortedSet(slices.Concat(c.Before, c.After))
}

// sortedSet returns a sorted copy of values without duplicates.
func sortedSet[T ~string](values []T) []T {
	set := slices.Clone(values)
	slices.Sort(set)
	return slices.Compact(set)
}
