package redisprovider

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// The commands of this file are sent once. go-redis sends a command again when
// its answer does not come, and then the first copy may still be under way:
//
//  1. A fill is sent as SET; the answer is late; go-redis sends it again.
//  2. The second copy arrives and is answered; the Set returns.
//  3. The entry is invalidated: UNLINK, answered.
//  4. The first copy, which a stalled connection held back, arrives. The old
//     value is in the store until its TTL ends.
//
// A command whose NoRetry is true is not sent again, alone or in a pipeline.
// Commands that only read or only remove keep their retries.

// setOnce is a SET that is sent once.
type setOnce struct{ *redis.StatusCmd }

// newSetOnce returns the SET of an entry that ends after ttl.
func newSetOnce(ctx context.Context, key string, value []byte, ttl time.Duration) setOnce {
	if px, ends := pxOf(ttl); ends {
		return setOnce{redis.NewStatusCmd(ctx, "set", key, value, "px", px)}
	}
	return setOnce{redis.NewStatusCmd(ctx, "set", key, value)}
}

// NoRetry reports true.
func (setOnce) NoRetry() bool { return true }

// Clone returns a copy that is sent once too.
func (c setOnce) Clone() redis.Cmder {
	if status, ok := c.StatusCmd.Clone().(*redis.StatusCmd); ok {
		return setOnce{status}
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

// unlinkOnce is an UNLINK that is sent once, so that its answer counts all that
// it removed.
type unlinkOnce struct{ *redis.IntCmd }

func newUnlinkOnce(ctx context.Context, keys []string) unlinkOnce {
	args := make([]any, 0, len(keys)+1)
	args = append(args, "unlink")
	for _, key := range keys {
		args = append(args, key)
	}
	return unlinkOnce{redis.NewIntCmd(ctx, args...)}
}

// NoRetry reports true.
func (unlinkOnce) NoRetry() bool { return true }
