package service

import "errors"

// ErrNotFound matches the error for a maintenance or a system that does not
// exist.
var ErrNotFound = errors.New("service: not found")

// ErrOutcomeUnknown matches the error of a change of which nobody knows whether it
// happened: the answer to its commit got lost. The change comes with the error,
// and what it may have made untrue has to be invalidated.
var ErrOutcomeUnknown = errors.New("service: it is not known whether the change was made")

// InvalidError says which field of the input is wrong, and why.
type InvalidError struct {
	Field   string
	Problem string
}

// Error returns field and problem.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Problem }

// ConflictError says why the state of a maintenance does not permit a change
// whose input is valid in itself.
type ConflictError struct {
	Problem string
}

// Error returns the problem.
func (e *ConflictError) Error() string { return e.Problem }
