package redistest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	require.NoError(t, err)
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
	_, err := c.conn.Write(data)
	require.NoError(c.t, err)
}

// receive reads an answer.
func (c *client) receive(timeout time.Duration) (any, error) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(timeout))
	return readReply(c.r)
}

func (c *client) want(want any) {
	c.t.Helper()
	got, err := c.receive(doTimeout)
	require.NoError(c.t, err)
	require.Equal(c.t, want, got)
}

// silent is how long nothing must happen. Too short a time can only hide a
// defect, not report one that is not there.
const silent = 100 * time.Millisecond

func (c *client) wantSilence() {
	c.t.Helper()
	got, err := c.receive(silent)
	require.ErrorIs(c.t, err, os.ErrDeadlineExceeded, "got %v; want no answer", got)
}

func (c *client) wantGone() {
	c.t.Helper()
	got, err := c.receive(doTimeout)
	require.Error(c.t, err, "got %v; want a closed connection", got)
	require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded, "got %v; want a closed connection", got)
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
	assert.Equal(t, 1, p.Connections(), "connections")
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
	got := p.Counts()
	assert.Equal(t, 3, got["GET"], "counts")
	assert.Equal(t, 1, got["SET"], "counts")
	assert.Len(t, got, 2, "counts")
	assert.Equal(t, 2, p.Trips(), "trips: a pipeline and a command")
	p.ResetCounts()
	assert.Zero(t, p.Count("GET"), "counts are not reset")
	assert.Zero(t, p.Trips(), "counts are not reset")
}

func TestProxyCountsInlineCommands(t *testing.T) {
	Require(t) // the imitation does not know inline commands
	_, p, c := newProxied(t)
	_, err := io.WriteString(c.conn, "PING\r\n")
	require.NoError(t, err)
	c.want("PONG")
	assert.Equal(t, 1, p.Count("PING"), "counts %v", p.Counts())
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
			assert.GreaterOrEqual(t, time.Since(began), delay, "direction %d: answered before the delay", d)
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
			require.GreaterOrEqual(t, d, time.Millisecond, "drew")
			require.LessOrEqual(t, d, time.Second, "drew")
			draws[i] = append(draws[i], d)
		}
	}
	for i, d := range draws[0] {
		require.Equal(t, d, draws[1][i], "draw %d from one seed", i)
	}
}

func TestProxyHolds(t *testing.T) {
	s, p, c := newProxied(t)
	p.Hold(ToServer)
	c.send([]string{"SET", "key", "1"})
	c.wantSilence()
	assert.Nil(t, s.Do("GET", "key"), "a held request reached the server")
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
	got := tap.Wait(t, 1)
	require.Len(t, got, 1, "recorded")
	require.Equal(t, "old", got[0].Args[2], "recorded")
	assert.Equal(t, []any{"OK"}, tap.Replay(t), "answers")
	assert.Equal(t, "old", s.Do("GET", "key"), "after the late copy")
}

func TestProxyWithholds(t *testing.T) {
	s, p, c := newProxied(t)
	tap := p.Withhold(func(c Command) bool { return c.Name() == "SET" })
	c.send([]string{"SET", "key", "late"})
	tap.Wait(t, 1)
	c.wantSilence()
	assert.Nil(t, s.Do("GET", "key"), "a withheld request reached the server")
	tap.Replay(t)
	assert.Equal(t, "late", s.Do("GET", "key"), "after its delivery")
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
		require.True(t, bytes.HasPrefix(data, command.Raw), "the bytes of %q are %q", data, command.Raw)
		if len(command.Args) == 0 || data[0] != '*' {
			return
		}
		again, err := ReadCommand(bufio.NewReader(bytes.NewReader(appendCommand(nil, command.Args...))))
		require.NoError(t, err, "%q became %q", command.Args, again.Args)
		require.Equal(t, strings.Join(command.Args, "\x00"), strings.Join(again.Args, "\x00"), "%q became %q", command.Args, again.Args)
	})
}
