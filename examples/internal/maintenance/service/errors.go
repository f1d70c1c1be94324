package service

import (
	"errors"

	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for a maintenance or a system that does not exist.
var ErrNotFound = errors.New("service: not found")

// ErrOutcomeUnknown matches the error of a change with an unknown outcome: the
// answer to its commit was lost. The change is returned with the error. The caller
// must invalidate what it may have changed.
var ErrOutcomeUnknown = database.ErrOutcomeUnknown

// InvalidError says which field of the input is wrong and why.
type InvalidError struct {
	Field   string
	Problem string
}

// Error returns field and problem.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Problem }

// ConflictError says why the state of a maintenance does not permit a valid
// change.
type ConflictError struct {
	Problem string
}

// Error returns the problem.
func (e *ConflictError) Error() string { return e.Problem }
