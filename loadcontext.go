package readthrough

import "context"

// begin makes the context of the load. It has the values of ctx, and an end of its own.
func (c *call) begin(ctx context.Context, options *ScopeOptions) {
	c.values = loadValues{context.WithoutCancel(ctx), c}
	load, cancel := context.WithCancelCause(&c.values)
	c.cancel = cancel
	if options.LoadTimeout > 0 {
		var stop context.CancelFunc
		load, stop = context.WithTimeoutCause(load, options.LoadTimeout, ErrLoadTimeout)
		c.cancel = func(cause error) { cancel(cause); stop() }
	}
	c.over, c.ctx, c.loadCtx = load.Done(), load, load
}

// cause returns why the load was cancelled; nil if it was not.
func (c *call) cause() error { return context.Cause(c.ctx) }

// loadValues is a context without an end. It has the values of another context, and a call.
type loadValues struct {
	context.Context //nolint:containedctx // it is one

	call *call
}

// callKey is the key of the *call in the context of a load.
type callKey struct{}

// Value returns the call for callKey.
func (v *loadValues) Value(key any) any {
	if key == (callKey{}) {
		return v.call
	}
	return v.Context.Value(key)
}

// parentCall returns the call whose load function got ctx; nil if there is none.
func parentCall(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return nil
}

// isLoadOf reports whether ctx is the context of a load of key.
func isLoadOf(ctx context.Context, key string) bool {
	c := parentCall(ctx)
	return c != nil && c.flightOf(key) != nil
}
