package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Ping implements [provider.Pinger] with one PING; on a cluster, with one to each master. A user who may
// not PING is answered, which is enough. Then it looks whether the store is to be used: the error matches
// [ErrLayout] if processes with another layout of keys use the server, and [provider.ErrReadOnly] if the
// server is a replica.
func (p *Provider) Ping(ctx context.Context) error {
	if p.closed.Load() {
		return errClosed()
	}
	err := p.onMasters(ctx, func(ctx context.Context, master server) error {
		err := master.Ping(ctx).Err()
		if serverSays(err, "NOPERM ") {
			return nil
		}
		return at(master.Options().Addr, err)
	})
	if err == nil {
		err = at("", p.ready(ctx))
	}
	if err != nil {
		return fmt.Errorf("redisprovider: ping: %w", told(err))
	}
	return nil
}

// at returns err with its cause and the address as its text, since the errors around the cause name
// keys. nil stays nil.
func at(addr string, err error) error {
	if err == nil || errors.Is(err, ErrLayout) {
		return err
	}
	text := innermost(err).Error()
	if network, ok := errors.AsType[*net.OpError](err); ok {
		text = network.Error()
	}
	if addr != "" && !strings.Contains(text, addr) {
		text = addr + ": " + text
	}
	return &parseError{text, err}
}

// innermost returns the last error of the chain of err.
func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		if answer, ok := inner.(redis.Error); ok { //nolint:errorlint // it goes through the chain
			return answer
		}
		err = inner
	}
}
