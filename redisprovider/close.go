package redisprovider

import (
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// Close cancels the rebuilds under way and waits for them. Leases that are being
// given back in the background are left to their TTL. A call that begins
// later returns an error that matches [provider.ErrClosed]. Close does not close
// the client, which belongs to the caller. It always returns nil. Further calls
// do nothing.
func (p *Provider) Close() error {
	p.closed.Store(true)
	for _, r := range p.rebuilds.stop() {
		<-r.done
	}
	p.abandoned.stop()
	return nil
}

// usable returns an error if the store was closed.
func (p *Provider) usable() error {
	if p.closed.Load() {
		return fmt.Errorf("redisprovider: %w", provider.ErrClosed)
	}
	return nil
}
