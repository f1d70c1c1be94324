package redisprovider

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// maxTTL is the longest TTL that the server gets, a hundred years. A longer TTL
// is shortened to it. Redis accepts any duration, but not every server with its
// protocol can add the longest ones to its clock.
const maxTTL = 100 * 365 * 24 * time.Hour

// pxOf returns ttl, which is positive, in milliseconds for the option PX of SET.
// It returns false if the entry does not end. It rounds up: a TTL below a
// millisecond must not become zero.
func pxOf(ttl time.Duration) (milliseconds int64, ends bool) {
	if ttl == provider.NoExpiry {
		return 0, false
	}
	ttl = min(ttl, maxTTL)
	milliseconds = int64(ttl / time.Millisecond)
	if ttl%time.Millisecond != 0 {
		milliseconds++
	}
	return milliseconds, true
}
