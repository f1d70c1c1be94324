package stablekey

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// encodeError is a problem and its place. The encoder collects the path while
// it returns, so success costs nothing.
type encodeError struct {
	steps []string // the path, innermost first
	err   error
}

func (e *encodeError) Error() string { return e.err.Error() }

func (e *encodeError) Unwrap() error { return e.err }

// fail returns an encodeError without a path.
func fail(format string, args ...any) error {
	return &encodeError{err: fmt.Errorf(format, args...)}
}

// at adds a step to the path of err.
func at(err error, step string) error {
	if e, ok := errors.AsType[*encodeError](err); ok {
		e.steps = append(e.steps, step)
	}
	return err
}

func atIndex(err error, i int) error { return at(err, "["+strconv.Itoa(i)+"]") }

func atKey(err error, key string) error { return at(err, "["+quote(key)+"]") }

// maxPath bounds the path in a message. The path into a cycle is long, and map
// keys may be long.
const maxPath = 200

// located returns the error for users: package, path from the root, problem.
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

// rootName returns the name of a named type, without pointers, and "value" for
// other types.
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

// quote quotes text for a message and shortens it.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}
