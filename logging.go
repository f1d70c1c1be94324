package readthrough

import (
	"context"
	"log/slog"
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

// changed logs that the breaker was opened or closed. An outage is two lines, however long it is. It does not
// wait for the logger when over is closed: Close waits for it, and a logger may wait for Close.
func (l *storeLog) changed(ctx context.Context, over <-chan struct{}, c backend.Change) {
	if c.Open {
		l.write(ctx, over, slog.LevelError, "readthrough: the store is out of reach: reads load, and invalidations wait", func() []slog.Attr {
			return []slog.Attr{slog.String("cause", causeText(c.Cause)), slog.Int("shard", c.Shard)}
		})
		return
	}
	l.write(ctx, over, slog.LevelInfo, "readthrough: the store is back", func() []slog.Attr {
		return []slog.Attr{slog.Duration("away", c.Away), slog.Int64("requests_not_made", c.NotMade), slog.Int("shard", c.Shard)}
	})
}

// unconfirmed logs that n invalidations of a scope are pending because of err.
func (l *storeLog) unconfirmed(ctx context.Context, scope string, n int, err error) {
	suppressed, ok := l.pending.admit(scope, time.Now())
	if !ok {
		return
	}
	l.write(ctx, nil, slog.LevelError, "readthrough: invalidation not confirmed, retrying: other processes may read the old value until then", func() []slog.Attr {
		return []slog.Attr{slog.String("scope", scope), slog.Int("targets", n), slog.String("cause", causeText(err)), slog.Int("suppressed", suppressed)}
	})
}

// write writes a line apart: the logger and the errors are the user's code, and what they do must not fail
// an invalidation. It waits no longer when over is closed.
func (l *storeLog) write(ctx context.Context, over <-chan struct{}, level slog.Level, text string, attrs func() []slog.Attr) {
	_ = apart(over, func() { l.logger.LogAttrs(ctx, level, text, attrs()...) }) //nolint:errcheck,sloglint // there is nobody to tell; text is a literal of the caller
}

// causeText returns what is wrong with the network, with the address, or else the innermost error: errors
// of stores name keys, which do not belong in a log.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	return logText(backend.Cause(err), "")
}
