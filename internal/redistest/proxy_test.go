package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// A client is a connection that says what a test tells it to.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

// send writes requests in one go.
func (c *client) send(requests ...[]string) {
	c.t.Helper()
	var data []byte
	for _, args := range requests {
		data = appendCommand(data, args...)
	}
	if _, err := c.conn.Write(data); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads an answer.
func (c *client) receive(timeout time.Duration) (any, error) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(timeout))
	return readReply(c.r)
}

func (c *client) want(want any) {
	c.t.Helper()
	if got, err := c.receive(doTimeout); err != nil || got != want {
		c.t.Fatalf("got %v, %v; want %v", got, err, want)
	}
}

// silent is how long nothing must happen. Too short a time can only hide a
// defect, not report one that is not there.
const silent = 100 * time.Millisecond

func (c *client) wantSilence() {
	c.t.Helper()
	if got, err := c.receive(silent); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("got %v, %v; want no answer", got, err)
	}
}

func (c *client) wantGone() {
	c.t.Helper()
	if got, err := c.receive(doTimeout); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("got %v, %v; want a closed connection", got, err)
	}
}

// wantRefused checks that a new connection is not to be had, or closed at once.
func wantRefused(t *testing.T, p *Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return
	}
	c := &client{t, conn, bufio.NewReader(conn)}
	c.wantGone()
	_ = conn.Close()
}

func newProxied(t *testing.T) (*Server, *Proxy, *client) {
	t.Helper()
	t.Parallel()
	s := Start(t, Options{})
	p := NewProxy(t, s.Addr())
	return s, p, dial(t, p.Addr())
}

func TestProxyForwards(t *testing.T) {
	_, p, c := newProxied(t)
	big := strings.Repeat("x\r\n*1\r\n", 200_000)
	c.send([]string{"set", "key", big}, []string{"GET", "key"}, []string{"PING"})
	c.want("OK")
	c.want(big)
	c.want("PONG")
	if p.Connections() != 1 {
		t.Errorf("%d connections", p.Connections())
	}
}

func TestProxyCounts(t *testing.T) {
	_, p, c := newProxied(t)
	p.Delay(ToClient, 50*time.Millisecond)
	c.send([]string{"get", "a"}, []string{"GET", "b"}, []string{"SET", "c", "GET"})
	c.want(nil)
	c.want(nil)
	c.want("OK")
	c.send([]string{"GET", "a"})
	c.want(nil)
	if got := p.Counts(); got["GET"] != 3 || got["SET"] != 1 || len(got) != 2 {
		t.Errorf("counts %v", got)
	}
	if got := p.Trips(); got != 2 {
		t.Errorf("%d trips, want a pipeline and a command", got)
	}
	p.ResetCounts()
	if p.Count("GET") != 0 || p.Trips() != 0 {
		t.Error("counts are not reset")
	}
}

func TestProxyCountsInlineCommands(t *testing.T) {
	Require(t) // the imitation does not know inline commands
	_, p, c := newProxied(t)
	if _, err := io.WriteString(c.conn, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	c.want("PONG")
	if p.Count("PING") != 1 {
		t.Errorf("counts %v", p.Counts())
	}
}

func TestProxyDelays(t *testing.T) {
	_, p, c := newProxied(t)
	const delay = 60 * time.Millisecond
	for _, set := range []func(d Direction){
		func(d Direction) { p.Delay(d, delay) },
		func(d Direction) { p.Jitter(d, delay, 2*delay, 1) },
	} {
		for _, d := range []Direction{ToServer, ToClient} {
			set(d)
			began := time.Now()
			c.send([]string{"PING"}, []string{"ECHO", "x"})
			c.want("PONG")
			c.want("x")
			if took := time.Since(began); took < delay {
				t.Errorf("direction %d: answered after %v, the delay is %v", d, took, delay)
			}
			p.Delay(d, 0)
		}
	}
}

func TestProxyJitterIsRepeatable(t *testing.T) {
	t.Parallel()
	var draws [2][]time.Duration
	for i := range draws {
		p := &Proxy{}
		p.Jitter(ToServer, time.Millisecond, time.Second, 42)
		for range 20 {
			d := p.lanes[ToServer].delay()
			if d < time.Millisecond || d > time.Second {
				t.Fatalf("drew %v", d)
			}
			draws[i] = append(draws[i], d)
		}
	}
	for i, d := range draws[0] {
		if draws[1][i] != d {
			t.Fatalf("draw %d: %v and %v from one seed", i, d, draws[1][i])
		}
	}
}

func TestProxyHolds(t *testing.T) {
	s, p, c := newProxied(t)
	p.Hold(ToServer)
	c.send([]string{"SET", "key", "1"})
	c.wantSilence()
	if got := s.Do("GET", "key"); got != nil {
		t.Errorf("a held request reached the server: %v", got)
	}
	p.Release(ToServer)
	c.want("OK")

	p.Hold(ToClient)
	c.send([]string{"SET", "key", "2"})
	c.wantSilence()
	waitFor(t, "the request to arrive", func() bool { return s.Do("GET", "key") == "2" })
	p.Release(ToClient)
	c.want("OK")
}

func TestProxyDrops(t *testing.T) {
	s, p, c := newProxied(t)
	p.Drop(ToServer, true)
	c.send([]string{"SET", "key", "1"})
	c.wantSilence()
	p.Drop(ToServer, false)
	c.send([]string{"GET", "key"})
	c.want(nil)

	p.Drop(ToClient, true)
	c.send([]string{"SET", "key", "2"})
	waitFor(t, "the request to arrive", func() bool { return s.Do("GET", "key") == "2" })
	c.wantSilence()
}

func TestProxyCutsAndRefuses(t *testing.T) {
	_, p, c := newProxied(t)
	c.send([]string{"PING"})
	c.want("PONG")
	p.Hold(ToClient)
	c.send([]string{"PING"})
	p.Refuse(true)
	p.CutAll()
	c.wantGone()
	waitFor(t, "the connection to be forgotten", func() bool { return p.Connections() == 0 })

	wantRefused(t, p)

	p.Refuse(false)
	p.Release(ToClient)
	again := dial(t, p.Addr())
	again.send([]string{"PING"})
	again.want("PONG")
}

func TestProxyReplays(t *testing.T) {
	s, p, c := newProxied(t)
	tap := p.Record(func(c Command) bool { return c.Name() == "SET" })
	c.send([]string{"SET", "key", "old"}, []string{"GET", "key"})
	c.want("OK")
	c.want("old")
	tap.Stop()
	c.send([]string{"SET", "key", "new"})
	c.want("OK")
	if got := tap.Wait(t, 1); len(got) != 1 || got[0].Args[2] != "old" {
		t.Fatalf("recorded %v", got)
	}
	if got := tap.Replay(t); len(got) != 1 || got[0] != "OK" {
		t.Errorf("answers %v", got)
	}
	if got := s.Do("GET", "key"); got != "old" {
		t.Errorf("after the late copy: %v", got)
	}
}

func TestProxyWithholds(t *testing.T) {
	s, p, c := newProxied(t)
	tap := p.Withhold(func(c Command) bool { return c.Name() == "SET" })
	c.send([]string{"SET", "key", "late"})
	tap.Wait(t, 1)
	c.wantSilence()
	if got := s.Do("GET", "key"); got != nil {
		t.Errorf("a withheld request reached the server: %v", got)
	}
	tap.Replay(t)
	if got := s.Do("GET", "key"); got != "late" {
		t.Errorf("after its delivery: %v", got)
	}
}

func TestProxyClosesWithItsTest(t *testing.T) { //nolint:tparallel // the subtest has to end in it
	t.Parallel()
	s := Start(t, Options{})
	var c *client
	t.Run("inner", func(t2 *testing.T) {
		p := NewProxy(t2, s.Addr())
		p.Hold(ToClient)
		c = dial(t, p.Addr())
		c.send([]string{"PING"})
	})
	c.wantGone()
}

func TestProxyWithoutAServer(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	s.Stop()
	wantRefused(t, NewProxy(t, s.Addr()))
}

func FuzzReadCommand(f *testing.F) {
	for _, seed := range []string{
		"*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "PING\r\n", "*0\r\n",
		"*-1\r\n", "*1\r\n$-1\r\n", "*1\r\n$5\r\nab\r\n", "*9999999999\r\n", "$3\r\nabc\r\n", "\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		command, err := ReadCommand(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(data, command.Raw) {
			t.Fatalf("the bytes of %q are %q", data, command.Raw)
		}
		if len(command.Args) == 0 || data[0] != '*' {
			return
		}
		again, err := ReadCommand(bufio.NewReader(bytes.NewReader(appendCommand(nil, command.Args...))))
		if err != nil || strings.Join(again.Args, "\x00") != strings.Join(command.Args, "\x00") {
			t.Fatalf("%q became %q, %v", command.Args, again.Args, err)
		}
	})
}
