package readthrough

import (
	"log/slog"
	"sync"
	"time"
)

// Op is what the cache was doing when it met an error.
type Op uint8

// The operations that [Options.OnError] is told about.
const (
	// OpGet: an entry was read from the store, or decoded.
	OpGet Op = iota
	// OpSet: a loaded value was stored.
	OpSet
	// OpDelete: keys were invalidated.
	OpDelete
	// OpDeletePrefix: a prefix was invalidated.
	OpDeletePrefix
	// OpLoad: a load function did something that it should not have done, and
	// that did not fail the read.
	OpLoad
	// OpHold: keys were held, or a hold was given up.
	OpHold
	// OpObserve: the [Observer] panicked.
	OpObserve

	opCount
)

// String returns the operation's name, such as "deletePrefix".
func (o Op) String() string {
	switch o {
	case OpGet:
		return "get"
	case OpSet:
		return "set"
	case OpDelete:
		return "delete"
	case OpDeletePrefix:
		return "deletePrefix"
	case OpLoad:
		return "load"
	case OpHold:
		return "hold"
	case OpObserve:
		return "observe"
	default:
		return "unknown"
	}
}

// logInterval is how often at most the default OnError logs an op.
const logInterval = time.Second

// errorLog is the default of [Options.OnError]: it logs each op at most once in
// a logInterval, so that an outage does not flood the log.
type errorLog struct {
	mu  sync.Mutex // guards following
	ops [opCount]struct {
		logged     bool
		last       time.Time // when the op was last logged
		suppressed int       // errors since then
	}
}

func (l *errorLog) onError(op Op, scope, key string, err error) {
	suppressed, ok := l.admit(op, time.Now())
	if !ok {
		return
	}
	slog.Warn("readthrough: reads go on without the cache",
		slog.String("op", op.String()), slog.String("scope", scope), slog.String("key", clip(key)),
		slog.Any("error", err), slog.Int("suppressed", suppressed))
}

// admit reports whether an error of op is to be logged at now, and for how many
// that were not it stands.
func (l *errorLog) admit(op Op, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := &l.ops[min(op, opCount-1)]
	if state.logged && now.Sub(state.last) < logInterval {
		state.suppressed++
		return 0, false
	}
	suppressed = state.suppressed
	state.logged, state.last, state.suppressed = true, now, 0
	return suppressed, true
}

// clip shortens a key for messages.
func clip(key string) string {
	const most = 128
	if len(key) <= most {
		return key
	}
	return key[:most] + "…"
}
