package redistest

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// linkQueue is the most packets of a link in one direction at the same
	// time.
	linkQueue = 1024
	// linkChunk is the size of the largest packet of answers.
	linkChunk = 64 << 10
)

// A link is the connection of a client and the one to the server for it. It
// runs until cut, which may be called by any of its goroutines or by the proxy.
type link struct {
	proxy  *Proxy
	client net.Conn

	answered atomic.Bool   // the last packet that was delivered is an answer; deliver sets it, readRequests clears it
	gone     chan struct{} // closed by cut; ends all goroutines of the link
	once     sync.Once     // closes gone
}

// A packet is data to deliver at due or later.
type packet struct {
	data []byte
	due  time.Time
}

// run forwards in both directions until one end is gone. Each direction has a
// goroutine that reads and one that writes, so a delay does not limit how much
// is on the way.
func (l *link) run(server net.Conn) {
	l.answered.Store(true)
	requests, answers := make(chan packet, linkQueue), make(chan packet, linkQueue)
	var wg sync.WaitGroup
	for _, part := range []func(){
		func() { l.readRequests(requests) },
		func() { l.readAnswers(server, answers) },
		func() { l.forward(ToServer, server, requests) },
		func() { l.forward(ToClient, l.client, answers) },
	} {
		wg.Go(func() {
			defer l.cut()
			part()
		})
	}
	<-l.gone
	_ = server.Close() //nolint:errcheck // it is gone in any case
	wg.Wait()
}

// cut ends the link. It may be called several times.
func (l *link) cut() {
	l.once.Do(func() { close(l.gone) })
	_ = l.client.Close() //nolint:errcheck // it is gone in any case
}

// readRequests reads commands, one per packet. It ends at bytes that are not a
// command.
func (l *link) readRequests(out chan<- packet) {
	r := bufio.NewReader(l.client)
	for {
		command, err := ReadCommand(r)
		if err != nil {
			return
		}
		if !l.proxy.saw(command, l.answered.Swap(false)) {
			continue
		}
		if !l.queue(out, packet{command.Raw, l.proxy.due(ToServer)}) {
			return
		}
	}
}

// readAnswers reads what the server sends.
func (l *link) readAnswers(server net.Conn, out chan<- packet) {
	buf := make([]byte, linkChunk)
	for {
		n, err := server.Read(buf)
		if n > 0 && !l.queue(out, packet{append([]byte(nil), buf[:n]...), l.proxy.due(ToClient)}) {
			return
		}
		if err != nil {
			close(out) // what came before the end is still delivered
			<-l.gone
			return
		}
	}
}

// queue adds a packet, and reports whether the link still exists.
func (l *link) queue(out chan<- packet, p packet) bool {
	select {
	case out <- p:
		return true
	case <-l.gone:
		return false
	}
}

// forward writes packets to conn as the faults of direction d permit.
func (l *link) forward(d Direction, conn net.Conn, in <-chan packet) {
	for {
		select {
		case p, ok := <-in:
			if !ok || !l.deliver(d, conn, p) {
				return
			}
		case <-l.gone:
			return
		}
	}
}

// deliver writes a packet to conn when it is due, or drops it. It reports
// whether the link still exists.
func (l *link) deliver(d Direction, conn net.Conn, p packet) bool {
	if !l.sleep(time.Until(p.due)) {
		return false
	}
	for {
		wait, dropped := l.proxy.gate(d)
		if dropped {
			return true
		}
		if wait == nil {
			break
		}
		select {
		case <-wait:
		case <-l.gone:
			return false
		}
	}
	if d == ToClient {
		l.answered.Store(true)
	}
	_, err := conn.Write(p.data)
	return err == nil
}

// sleep waits for d, and reports whether the link still exists.
func (l *link) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.gone:
		return false
	}
}
