package redisprovider

import (
	"context"
	"sync"
	"time"
)

// background are the goroutines of a store that go on without their callers. A panic of a
// hook of the client ends none of them with the process. The zero value is ready.
type background struct {
	mu      sync.Mutex // guards following
	stopped bool       // by stop: none may begin
	cancels map[int]context.CancelFunc
	next    int
	running sync.WaitGroup
}

// run runs f in a goroutine, for so long at most. It returns false if the store is closed.
// panicked is called instead of the rest of f, also after a Goexit; it may be nil.
func (b *background) run(ctx context.Context, timeout time.Duration, f func(ctx context.Context), panicked func(error)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	if b.cancels == nil {
		b.cancels = make(map[int]context.CancelFunc)
	}
	id := b.next
	b.next++
	b.cancels[id] = cancel
	b.running.Go(func() {
		defer b.ended(id)
		defer cancel()
		returned := false
		defer func() {
			if err := clientFailure(recover()); !returned && panicked != nil {
				panicked(err)
			}
		}()
		f(ctx)
		returned = true
	})
	return true
}

func (b *background) ended(id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.cancels, id)
}

// stop cancels all goroutines, waits for them, and lets no other begin.
func (b *background) stop() {
	b.mu.Lock()
	b.stopped = true
	for _, cancel := range b.cancels {
		cancel()
	}
	b.mu.Unlock()
	b.running.Wait()
}

// safely returns the error of f, or of its panic.
func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = clientFailure(r)
		}
	}()
	return f()
}
