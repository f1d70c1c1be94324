package readthrough

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

const (
	// mostLogged bounds the text of an error in a line of the log, in bytes.
	mostLogged = 512
	// mostSearched bounds the text in which what may not be logged is looked for, and the errors of a tree.
	mostSearched = 64 << 10
	mostErrors   = 100
	// leastMasked is the length of the shortest key that is looked for without quotes around it. A shorter one
	// is a part of ordinary words.
	leastMasked = 4
)

// logText returns the text of err as it may be logged: without key, without what the errors in it hide by
// [slog.LogValuer], and bounded.
func logText(err error, key string) string {
	text := err.Error()
	if len(text) > mostSearched {
		return fmt.Sprintf("an error of %d bytes: %T", len(text), err)
	}
	left := mostErrors
	walkErrors(err, &left, func(err error) {
		if hides, ok := err.(slog.LogValuer); ok && err.Error() != "" {
			text = strings.ReplaceAll(text, err.Error(), hides.LogValue().Resolve().String())
		}
	})
	if key != "" {
		text = strings.ReplaceAll(text, strconv.Quote(key), "the key")
	}
	if len(key) >= leastMasked {
		text = strings.ReplaceAll(text, key, "the key")
	}
	return clipTo(text, mostLogged)
}

// walkErrors calls visit for the errors of a tree, at most left.
func walkErrors(err error, left *int, visit func(error)) {
	if err == nil || *left == 0 {
		return
	}
	*left--
	visit(err)
	switch e := err.(type) { //nolint:errorlint // it goes through the tree
	case interface{ Unwrap() error }:
		walkErrors(e.Unwrap(), left, visit)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			walkErrors(inner, left, visit)
		}
	}
}

// clipTo shortens text to at most bytes, and a mark that it did.
func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// LogValue returns the operation, the scope, and the text of the error: without the key, without values,
// and bounded. So an OpError that is logged by package slog says no more than the default OnError.
func (e *OpError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("op", e.Op), slog.String("scope", e.Scope), slog.String("error", logText(e.Err, e.Key)))
}

// LogValue returns the text of the error with the type of the value in place of the value. The text of an
// error of package runtime stays, such as an index out of range.
func (e *PanicError) LogValue() slog.Value {
	said := fmt.Sprintf("a %T", e.Value)
	var bug interface {
		error
		RuntimeError()
	}
	if err, ok := e.Value.(error); ok && errors.As(err, &bug) {
		said = bug.Error()
	}
	return slog.StringValue("readthrough: load function panicked: " + said)
}
