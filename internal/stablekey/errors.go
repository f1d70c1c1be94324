package stablekey

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// encodeError is a problem and the place where it was found. The path is
// collected while the encoder returns, so that success costs nothing.
type encodeError struct {
	steps []string // from the inside out
	err   error
}

func (e *encodeError) Error() string { return e.err.Error() }

func (e *encodeError) Unwrap() error { return e.err }

// fail returns an encodeError without a path yet.
func fail(format string, args ...any) error {
	return &encodeError{err: fmt.Errorf(format, args...)}
}

// at adds the step through which the encoder came to err.
func at(err error, step string) error {
	if e, ok := errors.AsType[*encodeError](err); ok {
		e.steps = append(e.steps, step)
	}
	return err
}

func atIndex(err error, i int) error { return at(err, "["+strconv.Itoa(i)+"]") }

func atKey(err error, key string) error { return at(err, "["+quote(key)+"]") }

// maxPath bounds the path in a message: the path into a cycle is long, and map
// keys may be.
const maxPath = 200

// located is the error that users see: package, path from the root, problem.
func located(err error, root any) error {
	e, ok := errors.AsType[*encodeError](err)
	if !ok {
		return fmt.Errorf("stablekey: %w", err)
	}
	var path strings.Builder
	path.WriteString(rootName(root))
	for _, step := range slices.Backward(e.steps) {
		if path.Len()+len(step) > maxPath {
			path.WriteString("...")
			break
		}
		path.WriteString(step)
	}
	return fmt.Errorf("stablekey: %s: %w", path.String(), e.err)
}

// rootName is the name of a named type, without the pointers to it.
func rootName(root any) string {
	t := reflect.TypeOf(root)
	for t != nil && t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	if t == nil || t.PkgPath() == "" {
		return "value"
	}
	return t.String()
}

// quote makes text safe for a message, and short.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}
