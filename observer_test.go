package readthrough_test

import (
	"context"

	"github.com/readthrough/readthrough"
)

// happened is an event, with the name of the observer's function that was told.
type happened struct {
	readthrough.Event

	kind string
}

// observer returns an observer whose functions all tell f. "refresh" is the start of a load in the
// background.
func observer(f func(happened)) readthrough.Observer {
	tell := func(kind string) func(context.Context, readthrough.Event) {
		return func(_ context.Context, e readthrough.Event) { f(happened{e, kind}) }
	}
	return readthrough.Observer{
		Hit: tell("hit"), Miss: tell("miss"), Join: tell("join"), Stale: tell("stale"),
		LoadStart: func(ctx context.Context, e readthrough.Event) context.Context {
			if e.Refresh {
				tell("refresh")(ctx, e)
			}
			return ctx
		},
		LoadEnd: tell("load"), RefusedFill: tell("refusedFill"),
		Invalidate: tell("invalidate"), Recovered: tell("recovered"),
		Error: func(_ context.Context, e *readthrough.OpError) {
			f(happened{readthrough.Event{Scope: e.Scope, Key: e.Key, Count: 1, Err: e.Err}, "error"})
		},
	}
}
