package redisprovider

import (
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// Close ends the rebuilds of indices that are under way, and waits for them.
// Calls that begin afterwards return an error that matches [provider.ErrClosed].
// The client is not closed: it is the caller's. Closing again does nothing. The
// error is always nil.
func (p *Provider) Close() error {
	p.closed.Store(true)
	for _, r := range p.rebuilds.stop() {
		<-r.done
	}
	return nil
}

// usable returns the error of a call on a store that was closed.
func (p *Provider) usable() error {
	if p.closed.Load() {
		return fmt.Errorf("redisprovider: %w", provider.ErrClosed)
	}
	return nil
}
