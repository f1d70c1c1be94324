package signals

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Resync is the name of the signal that tells clients to read everything again,
// because they may have missed signals.
const Resync = "resync"

// RelayOptions configure a [Relay]. All but Retry are required.
type RelayOptions struct {
	Hub    *Hub
	Client redis.UniversalClient
	// Channel is the name of the Redis channel that the processes share, such as
	// "maintenance-signals".
	Channel string
	// Settled reports whether other processes can read what this one has changed,
	// that is, whether no invalidation of this process is pending.
	Settled func() bool
	// Retry is the time between attempts to tell other processes about missed
	// signals, such as time.Second. Zero and negative mean 250 ms.
	Retry time.Duration

	_ struct{}
}

// Relay is a hub that also sends signals to the hubs of other processes, through
// Redis.
//
// A message can be lost, and a signal must not reach another process before its
// readers can see the change. A signal that cannot be sent now is therefore owed:
// when sending is possible, the other processes are told to read everything
// again. A process that was disconnected tells its own clients the same.
type Relay struct {
	options RelayOptions
	id      string // of this process, which also receives its own messages
	outbox  chan message
	end     context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex // guards owed
	owed bool
}

// message is a signal between processes.
type message struct {
	From  string          `json:"from"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// NewRelay connects a hub to the hubs of other processes, until Close.
func NewRelay(ctx context.Context, options RelayOptions) *Relay {
	if options.Retry <= 0 {
		options.Retry = 250 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &Relay{options: options, id: rand.Text(), outbox: make(chan message, 256), end: cancel}
	r.running.Go(func() { r.send(ctx) })
	r.running.Go(func() { r.receive(ctx) })
	return r
}

// Close ends the relay. It does not send signals that are owed.
func (r *Relay) Close() error {
	r.end()
	r.running.Wait()
	return nil
}

// Publish sends a signal to the clients of this process at once, and to those of
// other processes when they can see the change. It does not wait.
func (r *Relay) Publish(event string, data any) error {
	if err := r.options.Hub.Publish(event, data); err != nil {
		return err
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if !r.options.Settled() {
		r.owe()
		return nil
	}
	select {
	case r.outbox <- message{r.id, event, encoded}:
	default:
		r.owe()
	}
	return nil
}

// owe notes that other processes have missed a signal.
func (r *Relay) owe() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owed = true
}

// takeOwed reports whether signals are owed that can be sent now. If so, they are
// no longer owed. It forgets them before it asks whether all is settled: a Publish
// that finds something unsettled meanwhile owes again, and that stays.
func (r *Relay) takeOwed() bool {
	r.mu.Lock()
	owed := r.owed
	r.owed = false
	r.mu.Unlock()
	if owed && !r.options.Settled() {
		r.owe()
		return false
	}
	return owed
}

// send sends the messages in the outbox, and a Resync for signals that are owed.
func (r *Relay) send(ctx context.Context) {
	retry := time.NewTicker(r.options.Retry)
	defer retry.Stop()
	for {
		m := message{r.id, Resync, json.RawMessage(`{}`)}
		select {
		case <-ctx.Done():
			return
		case m = <-r.outbox:
		case <-retry.C:
			if !r.takeOwed() {
				continue
			}
		}
		encoded, err := json.Marshal(m)
		if err == nil {
			err = r.options.Client.Publish(ctx, r.options.Channel, encoded).Err()
		}
		if err != nil {
			r.owe()
		}
	}
}

// receive forwards the messages of other processes. The client reconnects by
// itself; messages in between are lost.
func (r *Relay) receive(ctx context.Context) {
	subscription := r.options.Client.Subscribe(ctx, r.options.Channel)
	defer subscription.Close() //nolint:errcheck // there is nothing to lose
	first := true
	incoming := subscription.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case received, ok := <-incoming:
			if !ok {
				return
			}
			var err error
			switch received := received.(type) {
			case *redis.Subscription: // connected for the first time, or again
				if !first {
					err = r.options.Hub.Publish(Resync, struct{}{})
				}
				first = false
			case *redis.Message:
				err = r.pass(received.Payload)
			}
			if err != nil {
				slog.WarnContext(ctx, "a signal of another process was not understood", slog.Any("error", err))
			}
		}
	}
}

func (r *Relay) pass(payload string) error {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		return err
	}
	if m.From == r.id {
		return nil
	}
	return r.options.Hub.Publish(m.Event, m.Data)
}
