package redistest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// imitationTick is how exactly an imitation keeps time.
const imitationTick = 10 * time.Millisecond

// An imitation is a server in this process.
type imitation struct {
	redis *miniredis.Miniredis
	stopT chan struct{} // ends the clock
	clock sync.WaitGroup
}

// StartImitation starts the embedded imitation of a server that [Start] falls back
// on, and stops it when the test ends.
func StartImitation(tb testing.TB) *Server {
	tb.Helper()
	m := &imitation{redis: miniredis.NewMiniRedis(), stopT: make(chan struct{})}
	if err := m.redis.Start(); err != nil {
		tb.Fatalf("redistest: starting the embedded server: %v", err)
	}
	m.redis.Server().SetPreHook(m.scanBytes)
	m.clock.Go(m.tick)
	tb.Cleanup(func() {
		close(m.stopT)
		m.clock.Wait()
		m.redis.Close()
	})
	return &Server{tb: tb, addr: m.redis.Addr(), mini: m}
}

// tick makes time pass, which it does not by itself in the embedded server. It
// never jumps by more than a tick, which would end an entry early that was stored
// a moment ago: on a machine that is too busy, entries end late instead.
func (m *imitation) tick() {
	ticker := time.NewTicker(imitationTick)
	defer ticker.Stop()
	for {
		select {
		case <-m.stopT:
			return
		case <-ticker.C:
			m.redis.FastForward(imitationTick)
		}
	}
}

func (m *imitation) stop() { m.redis.Close() }

// restart starts the server empty, as a process without persistence would.
func (m *imitation) restart(tb testing.TB) {
	tb.Helper()
	m.redis.FlushAll()
	if err := m.redis.Restart(); err != nil {
		tb.Fatalf("redistest: restarting the embedded server: %v", err)
	}
	m.redis.Server().SetPreHook(m.scanBytes)
}

// scanBytes answers a SCAN for keys that begin with bytes that are no UTF-8. The
// embedded server makes a regular expression of the pattern and panics. It
// reports whether it answered.
func (m *imitation) scanBytes(peer *server.Peer, cmd string, args ...string) bool {
	i := slices.IndexFunc(args, func(arg string) bool { return strings.EqualFold(arg, "match") })
	if !strings.EqualFold(cmd, "scan") || i < 0 || i+1 >= len(args) || utf8.ValidString(args[i+1]) {
		return false
	}
	prefix, ok := literalPrefix(args[i+1])
	if !ok {
		peer.WriteError("ERR this imitation finds bytes that are no UTF-8 by prefix only")
		return true
	}
	keys := slices.DeleteFunc(m.redis.Keys(), func(key string) bool { return !strings.HasPrefix(key, prefix) })
	peer.WriteLen(2)
	peer.WriteBulk("0") // all at once
	peer.WriteLen(len(keys))
	for _, key := range keys {
		peer.WriteBulk(key)
	}
	return true
}

// literalPrefix returns the prefix that a pattern of the form prefix* stands for,
// and whether it has that form.
func literalPrefix(pattern string) (string, bool) {
	pattern, ok := strings.CutSuffix(pattern, "*")
	var prefix strings.Builder
	for i := 0; ok && i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*', '?', '[':
			ok = false
		case '\\':
			i++
			ok = i < len(pattern)
			if ok {
				prefix.WriteByte(pattern[i])
			}
		default:
			prefix.WriteByte(c)
		}
	}
	return prefix.String(), ok
}
