package redisprovider

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// maxTTL is the longest TTL that is given to the server: a hundred years. What
// is longer ends then. Redis would take any duration, but not everything that
// speaks its protocol can add the longest ones to its clock.
const maxTTL = 100 * 365 * 24 * time.Hour

// pxOf returns ttl, which is positive, in the milliseconds that the option PX of
// SET takes, and false if the entry does not end. A rest of a millisecond counts
// as a whole one: rounded down, a TTL below one would be none.
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
