package redisprovider

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// The commands of this file are sent once. go-redis sends a command again when
// its answer does not come, and then the first copy may still be under way:
//
//  1. A Set is sent; the answer is late; go-redis sends it again.
//  2. The second copy arrives and is answered; the Set returns.
//  3. The entry is invalidated: UNLINK, answered.
//  4. The first copy, which a stalled connection held back, arrives. The old
//     value is in the store until its TTL ends.
//
// The late copy of an acquire would plant a lease again that was destroyed, with
// the token that an old load is about to fill with. A command whose NoRetry is
// true is not sent again, alone or in a pipeline.
// Commands that only read or only remove keep their retries.

// once is a command that is sent once.
type once struct{ *redis.Cmd }

// NoRetry reports true.
func (once) NoRetry() bool { return true }

// Clone returns a copy that is sent once too.
func (c once) Clone() redis.Cmder {
	if cmd, ok := c.Cmd.Clone().(*redis.Cmd); ok {
		return once{cmd}
	}
	return c
}

// scanOnce is a SCAN that is sent once. A cursor means something to one server
// only, and a repetition might reach the next one.
type scanOnce struct{ *redis.ScanCmd }

func newScanOnce(ctx context.Context, cursor uint64, match string, count int) scanOnce {
	return scanOnce{redis.NewScanCmd(ctx, nil, "scan", cursor, "match", match, "count", count)}
}

// NoRetry reports true.
func (scanOnce) NoRetry() bool { return true }
