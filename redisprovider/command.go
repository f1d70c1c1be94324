package redisprovider

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The commands of this file are sent once. Otherwise go-redis repeats a command
// whose answer does not come, while the first copy may still be on its way:
//
//  1. A Set is sent. Its answer is late, so go-redis sends it again.
//  2. The second copy arrives and is answered. The Set returns.
//  3. The entry is invalidated: an UNLINK is sent and answered.
//  4. The first copy arrives, which a stalled connection had delayed. The old
//     value is in the store until its TTL ends.
//
// A late copy of an acquire would restore a lease that was destroyed, and an old
// load could fill with its token. go-redis does not repeat a command whose
// NoRetry is true, alone or in a pipeline. Commands that only read or only
// remove keep their retries.

// once is a command that go-redis sends once.
type once struct{ *redis.Cmd }

// NoRetry reports true.
func (once) NoRetry() bool { return true }

// Clone returns a copy, which is sent once too.
func (c once) Clone() redis.Cmder {
	if cmd, ok := c.Cmd.Clone().(*redis.Cmd); ok {
		return once{cmd}
	}
	return c
}

// scanOnce is a SCAN that go-redis sends once. A cursor is valid on one server
// only, and a retry might reach another.
type scanOnce struct{ *redis.ScanCmd }

func newScanOnce(ctx context.Context, cursor uint64, match string, count int) scanOnce {
	return scanOnce{redis.NewScanCmd(ctx, nil, "scan", cursor, "match", match, "count", count)}
}

// NoRetry reports true.
func (scanOnce) NoRetry() bool { return true }

// clientFailure returns the error of a goroutine of this package in which the client
// has not returned: because a hook of the client has panicked with recovered, or, if
// that is nil, has called [runtime.Goexit]. Such a goroutine has no caller, so a panic
// would end the process.
func clientFailure(recovered any) error {
	if recovered == nil {
		return errors.New("the client called runtime.Goexit")
	}
	return fmt.Errorf("the client panicked: %v", recovered)
}
