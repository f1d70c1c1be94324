package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A bulk call is sent in parts. These are its invariants:
//
//   - Each part is a request of its own, with its own deadline and its own verdict for the breaker.
//   - What a part has brought counts, whatever becomes of the parts after it.
//   - A part that fails ends the call. The items after it fail with the same error, and are not sent.
//   - A part that its deadline cut off does not end the call at once: the next part is smaller. After
//     lateParts of them, the call ends.
//   - Smaller parts take slowParts deadlines together, two seconds by default. Then the call ends: a reader
//     without a deadline would wait a minute for what its load brings in a moment. Removals go on, because
//     nothing else does what they do.
//   - All parts together take no more of the caller's time than one request would.
//
// How many items a part has is remembered for the next call. So a store that cannot answer for many
// items within the deadline is asked for fewer, and each call gets something done.
const (
	mostAsked   = 256  // items of a part that reads or stores
	mostRemoved = 1000 // items of a part that removes
	lateParts   = 3    // parts that the deadline may cut off before the call ends
	shrinkBy    = 16   // how much smaller a part is after one that was cut off
	quickPart   = 4    // a part that took less than this fraction of its deadline may grow
	slowParts   = 40   // for how many deadlines a call goes on with smaller parts

	mostBytes     = 4 << 20  // encoded values of a part that stores, unless one value has more
	leastByteRate = 10 << 20 // bytes a second: a slower store counts as one that does not answer
)

// timeFor returns how much longer than others a request with so many bytes of values may take.
func timeFor(size int) time.Duration {
	return time.Duration(size) * (time.Second / leastByteRate)
}

// cutBySize returns the cutter of items with entries. It encodes the values in their place, before the
// deadline of their request begins to count. A value that cannot be encoded stays as it is: the store
// refuses it. entry returns the entry of an item; nil: there is nothing to encode.
func (b *Backend) cutBySize(entry func(i int) *provider.Entry) cutter {
	if b.encoder == nil {
		return nil
	}
	return func(first, end int) (cutEnd, size int) {
		for i := first; i < end; i++ {
			if size >= mostBytes {
				return i, size
			}
			if e := entry(i); e != nil {
				size += b.encode(e)
			}
		}
		return end, size
	}
}

// encode replaces the value of an entry by an encoded one, and returns its size.
func (b *Backend) encode(entry *provider.Entry) (size int) {
	var err error
	defer b.recoverStore(&err)
	encoded, err := b.encoder.Encode(*entry)
	if err != nil {
		return 0
	}
	*entry = encoded
	if value, ok := encoded.Value.(provider.Encoded); ok {
		size = len(value.Data)
	}
	return size
}

// errLate is the error of items that were not sent, because the store was too slow for those before.
var errLate = fmt.Errorf("readthrough: the store is too slow for a bulk call: %w", context.DeadlineExceeded)

// pace is how many items the parts of a kind of request have. It is safe for concurrent use.
type pace struct {
	most  int
	stops bool         // a part that is cut off ends the call
	size  atomic.Int64 // zero: most
}

// next returns how many items the next part may have.
func (p *pace) next() int {
	if size := int(p.size.Load()); size > 0 {
		return size
	}
	return p.most
}

// adapt takes what became of a part with n items that may have taken as long as bound.
func (p *pace) adapt(n int, took, bound time.Duration, late bool) {
	switch {
	case late && n > 1: // one item says nothing about many
		p.size.Store(int64(max(1, n/shrinkBy)))
	case !late && n < p.most && n >= p.next() && took*quickPart <= bound:
		p.size.Store(int64(min(p.most, 2*n))) //nolint:mnd // twice
	}
}

// inParts makes a bulk call for n items. request makes the request for the items from first to end
// within a timeout. The result is how many items were sent, and the error of those that were not; if all
// were sent, the errors of the parts.
func (b *Backend) inParts(ctx context.Context, n int, timeout time.Duration, p *pace, request func(first, end int, timeout time.Duration) error) (sent int, err error) {
	return b.inSizedParts(ctx, n, timeout, p, nil, request)
}

// cutter prepares the items of a part from first on. It returns how far the part may go, at most to end
// and at least to the next item, and how many bytes it has.
type cutter func(first, end int) (cutEnd, size int)

// inSizedParts is inParts for items whose sizes cut knows; nil: nobody does. A part with many bytes gets
// more time.
func (b *Backend) inSizedParts(ctx context.Context, n int, timeout time.Duration, p *pace, cut cutter, request func(first, end int, timeout time.Duration) error) (sent int, err error) {
	if b.Local {
		return n, request(0, n, timeout)
	}
	var errs []error
	over, late := halfTime(ctx), 0
	var took time.Duration // of the part before
	var slow time.Duration // of all smaller parts
	for sent < n {
		limit, enough := partTime(sent, over, timeout, took)
		if !enough {
			return sent, ErrNoTime
		}
		first, size := sent, p.next()
		smaller := !p.stops && size < p.most
		if smaller && slow >= slowParts*timeout {
			return sent, errLate
		}
		sent = min(n, first+size)
		if cut != nil {
			var bytes int
			sent, bytes = cut(first, sent)
			limit += timeFor(bytes)
		}
		bound, _ := Bound(ctx, limit+b.late.allowance())
		began := time.Now()
		err := request(first, sent, limit)
		took = time.Since(began)
		if smaller {
			slow += took
		}
		cutOff := isTimeout(err) || took >= bound
		if err == nil || cutOff {
			p.adapt(sent-first, took, bound, cutOff)
		}
		switch {
		case cutOff && !p.stops && ctx.Err() == nil:
			if late++; late >= lateParts {
				return sent, orLate(err)
			}
		case err != nil && !Answered(err):
			return sent, err
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return sent, join(errs)
}

// partTime returns how long the next part may take, after one that took so long. It returns false if the caller has too
// little time for it: a part that the caller's deadline cuts off would count as a failure of the store.
func partTime(sent int, over time.Time, timeout, took time.Duration) (limit time.Duration, enough bool) {
	if sent == 0 || over.IsZero() {
		return timeout, true
	}
	limit = min(timeout, time.Until(over))
	return limit, limit >= min(timeout, max(2*took, timeout/conclusivePart))
}

// orLate returns the error of what is not sent after a part that was cut off and returned err.
func orLate(err error) error {
	if err == nil || Answered(err) {
		return errLate
	}
	return err
}

// halfTime returns until when the parts of a call for a caller with ctx may take; zero: for ever.
func halfTime(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Time{}
	}
	return time.Now().Add(time.Until(deadline) / 2) //nolint:mnd // half
}

// isTimeout reports whether err says that a deadline has passed.
func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}
