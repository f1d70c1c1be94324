// Package link is a connection to a server that can be cut: a small TCP proxy
// between this process and Redis, to show what happens without Redis. A real
// service does not need it.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Link is a proxy for one server. It is safe for concurrent use.
type Link struct {
	listener net.Listener
	network  string
	target   string
	running  sync.WaitGroup

	mu    sync.Mutex // guards following
	cut   bool
	ended bool
	open  map[net.Conn]struct{}
}

// Open returns a proxy for the server at the address target. The server must
// answer.
func Open(ctx context.Context, network, target string) (*Link, error) {
	var dialer net.Dialer
	probe, err := dialer.DialContext(ctx, network, target)
	if err != nil {
		return nil, err
	}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{listener: listener, network: network, target: target, open: map[net.Conn]struct{}{}}
	l.running.Go(l.accept)
	return l, nil
}

// Addr returns the address to connect to instead of the address of the server.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// SetCut cuts the connection or heals it. A cut resets existing connections and
// every new one.
func (l *Link) SetCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		l.resetLocked()
	}
}

// Cut reports whether the connection is cut.
func (l *Link) Cut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

// Close closes all connections and waits until their goroutines have ended.
func (l *Link) Close() error {
	l.mu.Lock()
	l.ended = true
	l.resetLocked()
	l.mu.Unlock()
	err := l.listener.Close()
	l.running.Wait()
	return err
}

// resetLocked resets all connections. Data on the way is lost.
func (l *Link) resetLocked() {
	for conn := range l.open {
		reset(conn)
	}
	clear(l.open)
}

// reset closes conn with a reset, so that the other end gets an error.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) //nolint:errcheck // it is closed either way
	}
	_ = conn.Close() //nolint:errcheck // nothing can be done about it
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			l.running.Go(func() { l.serve(client) })
		}
	}
}

// serve forwards data between the client and the server until one of them is
// done.
func (l *Link) serve(client net.Conn) {
	if !l.admit(client) {
		return
	}
	defer l.drop(client)
	server, err := net.Dial(l.network, l.target) //nolint:noctx // the link's own connection: no request waits for it
	if err != nil || !l.admit(server) {
		return
	}
	defer l.drop(server)
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		_, _ = io.Copy(client, server) //nolint:errcheck // either way this connection is at its end
		l.drop(client)
	}()
	_, _ = io.Copy(server, client) //nolint:errcheck // either way this connection is at its end
	l.drop(server)
	<-answers
}

// admit registers conn. If the link is cut or closed, it resets conn instead.
func (l *Link) admit(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut || l.ended {
		reset(conn)
		return false
	}
	l.open[conn] = struct{}{}
	return true
}

func (l *Link) drop(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[conn]; ok {
		delete(l.open, conn)
		_ = conn.Close() //nolint:errcheck // nothing can be done about it
	}
}
