package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// A Direction is a direction of data through a [Proxy].
type Direction int

// The directions of data.
const (
	// ToServer is the direction of requests.
	ToServer Direction = iota
	// ToClient is the direction of answers.
	ToClient

	directions
)

// A Proxy forwards data between clients and one server, with the faults that a
// test chooses. Its methods are safe for concurrent use. They take effect at
// once, also on existing connections.
//
// Each direction has its faults, applied in this order: delay, hold, drop.
type Proxy struct {
	target   string
	listener net.Listener
	serving  sync.WaitGroup

	mu       sync.Mutex // guards following
	closed   bool
	refusing bool
	lanes    [directions]lane
	links    map[*link]struct{}
	counts   map[string]int
	trips    int
	taps     []*Tap
}

// A lane is the state of one direction.
type lane struct {
	delay   func() time.Duration // returns the delay of the next packet; nil: no delay. Called under Proxy.mu
	held    chan struct{}        // closed by Release; nil: not held
	dropped bool
}

// NewProxy starts a proxy for the server at target. When the test ends, the
// proxy stops and closes both ends of its connections.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(tb.Context(), "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		tb.Fatalf("redistest: starting a proxy: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	p := &Proxy{
		target:   target,
		listener: listener,
		links:    make(map[*link]struct{}),
		counts:   make(map[string]int),
	}
	p.serving.Go(func() { p.serve(ctx) })
	tb.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		cancel()
		_ = listener.Close() //nolint:errcheck // nobody can do anything about it
		p.CutAll()
		p.serving.Wait()
	})
	return p
}

// Addr returns the address for clients.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Target returns the address of the server.
func (p *Proxy) Target() string { return p.target }

// Delay delays all data in direction d by delay. It changes neither the order
// nor how much can be on the way. Zero means no delay.
func (p *Proxy) Delay(d Direction, delay time.Duration) {
	p.setDelay(d, func() time.Duration { return delay })
}

// Jitter delays all data in direction d by a random time from least to most,
// which seed determines. It does not change the order.
func (p *Proxy) Jitter(d Direction, least, most time.Duration, seed uint64) {
	random := rand.New(rand.NewPCG(seed, uint64(d))) //nolint:gosec // to be repeatable
	p.setDelay(d, func() time.Duration {
		return least + time.Duration(random.Int64N(int64(most-least)+1))
	})
}

func (p *Proxy) setDelay(d Direction, delay func() time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lanes[d].delay = delay
}

// Hold stops all data in direction d until [Proxy.Release]. Connections stay
// open.
func (p *Proxy) Hold(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes[d].held == nil {
		p.lanes[d].held = make(chan struct{})
	}
}

// Release delivers the data that was held, in its order, and ends the hold.
func (p *Proxy) Release(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held := p.lanes[d].held; held != nil {
		close(held)
		p.lanes[d].held = nil
	}
}

// Drop starts or stops dropping all data in direction d. Connections stay open.
// Dropped data is lost.
func (p *Proxy) Drop(d Direction, drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lanes[d].dropped = drop
}

// Refuse starts or stops resetting new connections as soon as they are made.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = refuse
}

// CutAll closes all connections. Data on the way is lost, held data too.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	links := maps.Clone(p.links)
	p.mu.Unlock()
	for l := range links {
		l.cut()
	}
}

// Connections returns the number of connections.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Count returns how many commands of that name, in upper case, clients have sent
// since the start or the last [Proxy.ResetCounts].
func (p *Proxy) Count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[name]
}

// Counts returns the Count of every command.
func (p *Proxy) Counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Trips returns the number of round trips that clients have begun. A round trip
// begins when a connection gets its first command, or a command after an answer.
// The commands of a pipeline are one round trip if no answer returns before the
// last command is sent; a delay of the answers ensures that.
func (p *Proxy) Trips() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trips
}

// ResetCounts sets Count and Trips to zero.
func (p *Proxy) ResetCounts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.counts)
	p.trips = 0
}

// serve accepts connections until the listener is closed.
func (p *Proxy) serve(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client has already gone
		}
		p.serving.Go(func() { p.connect(ctx, conn) })
	}
}

// connect connects a client to the server, and forwards until one of them is
// gone.
func (p *Proxy) connect(ctx context.Context, client net.Conn) {
	l := &link{proxy: p, client: client, gone: make(chan struct{})}
	if !p.add(l) {
		reset(client)
		return
	}
	defer p.remove(l)
	defer l.cut()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	l.run(server)
}

// add registers a link. It returns false if the link is to be refused.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusing || p.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// reset closes a connection with a TCP reset.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) //nolint:errcheck // it is closed already, or will be
	}
	_ = conn.Close() //nolint:errcheck // it is gone in any case
}

// due returns the time from which data that arrives now may be delivered.
func (p *Proxy) due(d Direction) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if delay := p.lanes[d].delay; delay != nil {
		return now.Add(delay())
	}
	return now
}

// gate returns a channel to wait for before data in direction d may be
// delivered. If there is none, gate reports whether to drop the data.
func (p *Proxy) gate(d Direction) (wait <-chan struct{}, dropped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lane := &p.lanes[d]
	if lane.held != nil {
		return lane.held, false
	}
	return nil, lane.dropped
}

// saw counts a command and passes it to the taps. It reports whether to send it
// to the server. begins says that the command begins a round trip.
func (p *Proxy) saw(command Command, begins bool) bool {
	p.mu.Lock()
	p.counts[command.Name()]++
	if begins {
		p.trips++
	}
	taps := p.taps
	p.mu.Unlock()
	pass := true
	for _, tap := range taps {
		pass = tap.saw(command) && pass
	}
	return pass
}

// Dialer returns a function that connects to the proxy of a server instead of
// the server. It suits the option Dialer of the client of a [Cluster], because
// the nodes of a cluster announce their own addresses.
func Dialer(proxies ...*Proxy) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		for _, p := range proxies {
			if p.target == addr {
				var dialer net.Dialer
				return dialer.DialContext(ctx, network, p.Addr())
			}
		}
		return nil, fmt.Errorf("redistest: no proxy in front of %s", addr)
	}
}
