package neartest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/provider"
)

// ErrCut is the error of a request while the connections are cut.
var ErrCut = errors.New("neartest: the connection is cut")

// subscriptionRoom is how many messages a subscriber may be behind.
const subscriptionRoom = 1024

// Store is the end of one process. [NewStore] makes one. It is a [provider.CacheProvider] with every
// capability that a near cache needs.
type Store struct {
	server  *Server
	channel *membership.Channel

	// CutData fails all requests, and CutSubscription ends the subscription and lets none be made.
	CutData, CutSubscription atomic.Bool

	closed atomic.Bool

	mu sync.Mutex // guards following

	// on has the functions of On.
	on map[When]Request
}

// When is a moment of a request.
type When uint8

const (
	// Sent is before the server executes the request.
	Sent When = iota
	// Executed is after that, and before the caller has the answer.
	Executed
)

// Request is called at a moment of a request, with its context and the name of the method in lower case, such as "get".
// Its error is that of the request, which is lost if it was only sent, and has lost its answer if it was executed.
type Request func(ctx context.Context, op string) error

// NewStore returns the end of another process. lease is that of its members; zero means the default.
func NewStore(ctx context.Context, server *Server, lease time.Duration) *Store {
	if lease == 0 {
		lease = membership.DefaultLease
	}
	s := &Store{server: server, on: make(map[When]Request)}
	s.channel = membership.NewChannel(ctx, membership.Server{
		Beat: func(ctx context.Context, b membership.Beat) error {
			return s.request(ctx, "beat", func() { s.server.beat(b) })
		},
		Ack: func(ctx context.Context, member, epoch string, seq int64) error {
			return s.request(ctx, "ack", func() { s.server.ack(member, epoch, seq) })
		},
		Remove: func(ctx context.Context, member, epoch string, stamp int64) error {
			return s.request(ctx, "remove", func() { s.server.remove(member, epoch, stamp) })
		},
		Roll:   s.roll,
		Listen: s.listen,
	}, lease, false)
	return s
}

// On calls f at a moment of every request. nil ends that. f may block: that is a slow network.
func (s *Store) On(when When, f Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on[when] = f
}

func (s *Store) at(ctx context.Context, when When, op string) error {
	s.mu.Lock()
	f := s.on[when]
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx, op)
}

// request executes a request on the server.
func (s *Store) request(ctx context.Context, op string, execute func()) error {
	if s.closed.Load() {
		return provider.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.at(ctx, Sent, op); err != nil {
		return err
	}
	if s.CutData.Load() {
		return ErrCut
	}
	execute()
	if err := s.at(ctx, Executed, op); err != nil {
		return err
	}
	if s.CutData.Load() {
		return ErrCut // the answer is lost
	}
	return ctx.Err()
}

// locked is request under the lock of the server.
func (s *Store) locked(ctx context.Context, op string, execute func()) error {
	return s.request(ctx, op, func() {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		execute()
	})
}

func (s *Store) roll(ctx context.Context) (roll membership.Roll, err error) {
	err = s.locked(ctx, "roll", func() { roll = s.server.rollLocked() })
	return roll, err
}

// listen is a subscription.
func (s *Store) listen(ctx context.Context, member string, ready func(), deliver func(membership.Message)) error {
	if s.CutSubscription.Load() {
		return ErrCut
	}
	sub := &subscription{to: s, queue: make(chan membership.Message, subscriptionRoom), cut: make(chan struct{})}
	s.server.mu.Lock()
	s.server.subs[member] = sub
	s.server.mu.Unlock()
	defer func() {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		if s.server.subs[member] == sub {
			delete(s.server.subs, member)
		}
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sub.cut:
			return ErrCut
		case message := <-sub.queue:
			some := (*s.server.onMessage.Load())(s, message)
			if s.CutSubscription.Load() {
				return ErrCut
			}
			for _, m := range some {
				deliver(m)
			}
		}
	}
}

// Join implements [provider.Announcer].
func (s *Store) Join(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error) {
	return s.channel.Join(options, listener)
}

// Announce implements [provider.Announcer].
func (s *Store) Announce(ctx context.Context, removed provider.Removed) error {
	defer s.channel.Tell(removed)
	return s.locked(ctx, "announce", func() { s.server.announceLocked(removed, s.channel.Sender(), s.channel.Exists()) })
}

// Close ends the membership, and then the store.
func (s *Store) Close() error {
	err := s.channel.Close()
	s.closed.Store(true)
	return err
}

// remove executes a removal, then announces it, and waits for the members. As on a cluster, these are two
// steps: the request "announce" is the second.
func (s *Store) remove(ctx context.Context, op string, removed provider.Removed, execute func()) error {
	defer s.channel.Tell(removed)
	if err := s.locked(ctx, op, execute); err != nil {
		return err
	}
	var roll membership.Roll
	var announced bool
	if err := s.locked(ctx, "announce", func() {
		roll, announced = s.server.announceLocked(removed, s.channel.Sender(), s.channel.Exists())
	}); err != nil || !announced {
		return err
	}
	return s.channel.Await(ctx, roll, time.Now())
}
