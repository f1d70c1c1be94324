package readthrough

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// OpError is an error that did not fail a read, as [Options.OnError] gets it: the cache went on
// without the store, or the user's code did something that it should not do. No call returns it. It
// has the shape of [net.OpError].
type OpError struct {
	// Op is what the cache was doing:
	//
	//	get           an entry was read from the store, or decoded
	//	set           a loaded value was stored
	//	delete        keys were invalidated, or a lease was given back
	//	deletePrefix  a prefix was invalidated
	//	hold          keys were held, or a hold was given up
	//	load          a load function did something that it should not do
	//	sample        a sample (ScopeOptions.SampleOneIn) has found a stale value, or its load panicked
	//	observe       a function of the Observer panicked, or called runtime.Goexit
	Op string
	// Scope is the name of the scope.
	Scope string
	// Key is the key or prefix; "" if the error is about several.
	Key string
	// Err is the error. [errors.Is] and [errors.As] look through OpError.
	Err error
}

// The values of [OpError.Op].
const (
	opGet          = "get"
	opSet          = "set"
	opDelete       = "delete"
	opDeletePrefix = "deletePrefix"
	opHold         = "hold"
	opLoad         = "load"
	opObserve      = "observe"
	opSample       = "sample"
)

// Error returns the operation, where it happened, and the error.
func (e *OpError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("readthrough: %s in scope %q: %v", e.Op, e.Scope, e.Err)
	}
	return fmt.Sprintf("readthrough: %s of %q in scope %q: %v", e.Op, clip(e.Key), e.Scope, e.Err)
}

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }

// logInterval is how often at most the default OnError logs an operation.
const logInterval = time.Second

// errorLog is the default of [Options.OnError]. It logs each operation at most once in a
// logInterval, so that an outage does not flood the log.
type errorLog struct {
	logger *slog.Logger // set once
	keys   bool         // keys are logged

	mu  sync.Mutex // guards following
	ops map[string]*loggedOp
}

// loggedOp is what the log knows of an operation.
type loggedOp struct {
	// last is when an error of the operation was last logged.
	last time.Time
	// suppressed is the number of errors since then.
	suppressed int
}

func (l *errorLog) onError(e *OpError) {
	suppressed, ok := l.admit(e.Op, time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("op", e.Op), slog.String("scope", e.Scope)}
	masked := e.Key
	if l.keys {
		attrs = append(attrs, slog.String("key", clip(e.Key)))
		masked = ""
	}
	attrs = append(attrs, slog.String("error", logText(e.Err, masked)), slog.Int("suppressed", suppressed))
	l.logger.LogAttrs(context.Background(), slog.LevelWarn, "readthrough: reads go on without the cache", attrs...) //nolint:forbidigo // OnError has none
}

// admit reports whether an error of op is logged at now, and how many errors before it were not.
func (l *errorLog) admit(op string, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.ops[op]
	switch {
	case o == nil:
		if l.ops == nil {
			l.ops = make(map[string]*loggedOp)
		}
		o = new(loggedOp)
		l.ops[op] = o
	case now.Sub(o.last) < logInterval:
		o.suppressed++
		return 0, false
	}
	suppressed = o.suppressed
	o.last, o.suppressed = now, 0
	return suppressed, true
}

// maxLosses bounds the types of which a lossLog knows. A program has fewer.
const maxLosses = 1000

// lossLog has the types of which OnError was told that the store loses a part. It would be told of each
// value otherwise.
type lossLog struct {
	mu    sync.Mutex // guards following
	types map[string]bool
}

// admit reports whether OnError is told of err: it is not that of a type that it was told of.
func (l *lossLog) admit(err error) bool {
	var loss *provider.LossError
	if !errors.As(err, &loss) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.types[loss.Type] || len(l.types) >= maxLosses {
		return false
	}
	if l.types == nil {
		l.types = make(map[string]bool)
	}
	l.types[loss.Type] = true
	return true
}

// clip shortens a key for messages.
func clip(key string) string {
	const most = 128
	return clipTo(key, most)
}
