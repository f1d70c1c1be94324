package backend

import (
	"context"
	"time"
)

// A store that says that it is punctual may not be: a hook of its client may take long, which the store
// cannot see. So a punctual store that has once returned much too late is not called in the goroutine of
// the caller any more. One read has waited for it.

// mostBeyond is how much later than its deadline a request of a punctual store may return, besides the
// time that it had.
const mostBeyond = 100 * time.Millisecond

// returned takes when a request of a punctual store has returned, which had so much time.
func (b *Backend) returned(bounded context.Context, bound time.Duration) {
	deadline, _ := bounded.Deadline() // it has one
	if bounded.Err() == nil || time.Since(deadline) <= bound+mostBeyond {
		return
	}
	if _, excused := b.late.excuses(0); !excused { // else the process was late, and the store may be well
		b.punctual.Store(false)
	}
}
