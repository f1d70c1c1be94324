package readthrough

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
)

// storeLog writes to [Options.Logger] what somebody has to know or do: the store is out of reach, it is
// back, an invalidation waits. These lines name no keys.
type storeLog struct {
	logger *slog.Logger
	// pending bounds the lines about pending invalidations: one a logInterval for each scope.
	pending errorLog
}

// changed logs that the breaker was opened or closed. An outage is two lines, however long it is.
func (l *storeLog) changed(ctx context.Context, c backend.Change) {
	defer ignorePanic()
	if c.Open {
		l.logger.LogAttrs(ctx, slog.LevelError, "readthrough: the store is out of reach: reads load, and invalidations wait",
			slog.String("cause", causeText(c.Cause)), slog.Int("shard", c.Shard))
		return
	}
	l.logger.LogAttrs(ctx, slog.LevelInfo, "readthrough: the store is back",
		slog.Duration("away", c.Away), slog.Int64("requests_not_made", c.NotMade), slog.Int("shard", c.Shard))
}

// unconfirmed logs that n invalidations of a scope are pending because of err.
func (l *storeLog) unconfirmed(ctx context.Context, scope string, n int, err error) {
	defer ignorePanic()
	suppressed, ok := l.pending.admit(scope, time.Now())
	if !ok {
		return
	}
	l.logger.LogAttrs(ctx, slog.LevelError, "readthrough: invalidation not confirmed, retrying: other processes may read the old value until then",
		slog.String("scope", scope), slog.Int("targets", n), slog.String("cause", causeText(err)), slog.Int("suppressed", suppressed))
}

// ignorePanic is deferred around calls of the logger, which is the user's code: what it says of the store
// must not fail an invalidation.
func ignorePanic() {
	_ = recover() //nolint:errcheck // there is nobody to tell
}

// causeText returns what is wrong with the network, with the address, or else the innermost error: errors
// of stores name keys, which do not belong in a log.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	for inner := err; inner != nil; {
		err = inner
		if many, ok := inner.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 { //nolint:errorlint // looks at one level
			inner = many.Unwrap()[len(many.Unwrap())-1] // the cause comes last
			continue
		}
		inner = errors.Unwrap(inner)
	}
	return err.Error()
}
