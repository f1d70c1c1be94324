package redisprovider

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// Close cancels the rebuilds under way and waits for them. Leases that are being given back in the
// background are left to their TTL. A call that begins later returns an error that matches
// [provider.ErrClosed]. Close does not close the client, which belongs to the caller, unless [Open]
// has made it. It ends the membership of a near cache; if the server does not hear of that, it
// returns an error. Further calls do nothing.
func (p *Provider) Close() error {
	err := p.channel.Close()
	if p.closed.Swap(true) {
		return err
	}
	for _, r := range p.rebuilds.stop() {
		<-r.done
	}
	p.abandoned.stop()
	p.background.stop()
	return errors.Join(err, p.closeOwned())
}

// usable returns an error if the store was closed, or is not to be used; see layout.go. It
// may wait for the first connection, until ctx ends.
func (p *Provider) usable(ctx context.Context) error {
	if p.closed.Load() {
		return errClosed()
	}
	return p.ready(ctx)
}

func errClosed() error { return fmt.Errorf("redisprovider: %w", provider.ErrClosed) }
