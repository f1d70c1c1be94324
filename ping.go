package readthrough

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Ping returns nil if the store can be reached, and why not otherwise, with the address and the cause if
// the store says them: "readthrough: Ping: 127.0.0.1:6379: connect: connection refused". A store in the
// process, such as memory, can always be reached.
//
// Ping asks now, whatever the breaker says, and does not change the breaker. It takes no longer than ctx
// and [Options.InvalidateTimeout] (default 1 s). The other errors are those of a nil ctx, and [ErrClosed].
//
// It is for pages and logs, and for a check after a deploy. Do not let a service be unready because of
// it: without its store, a service answers every read from the source. If all its processes became
// unready at once, an outage of the cache would be one of the service.
func (c *Cache) Ping(ctx context.Context) error {
	switch {
	case !c.isMade():
		return errNoCache("Ping")
	case ctx == nil:
		return errNoContext
	case c.closed.Load():
		return ErrClosed
	}
	if err := c.backend.Ping(ctx); err != nil {
		return fmt.Errorf("readthrough: Ping: %w", err)
	}
	return nil
}

// The check of how the store is set up begins adviceAfter New, when the service has other things to do
// no more, and is repeated until the store has answered once.
const (
	adviceAfter = time.Second
	adviceRetry = time.Minute
)

// adviseLater starts the check of how the store is set up, if the store has one.
func (c *Cache) adviseLater() {
	if c.backend.Advises() {
		c.spawn(c.advise)
	}
}

// advise logs once what the store advises.
func (e *engine) advise() {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // of no request
	defer cancel()
	defer e.endWith(cancel)()
	for pause := adviceAfter; ; pause = min(2*pause, adviceRetry) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-e.closing:
			timer.Stop()
			return
		}
		if advice, err := e.backend.Advise(ctx); err == nil {
			e.log.advice(ctx, e.closing, advice)
			return
		}
	}
}

// advice logs what should be changed about the store.
func (l *storeLog) advice(ctx context.Context, over <-chan struct{}, advice []provider.Advice) {
	for _, a := range advice {
		l.write(ctx, over, slog.LevelWarn, "readthrough: the store is not set up well", func() []slog.Attr {
			return []slog.Attr{slog.String("about", a.About), slog.String("problem", a.Problem), slog.String("do", a.Do)}
		})
	}
}
