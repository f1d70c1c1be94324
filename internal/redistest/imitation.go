package redistest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// An imitation is a server inside this process.
type imitation struct {
	redis *miniredis.Miniredis

	mu sync.Mutex // guards at, and is held while the clock of redis advances
	at time.Time  // until when it has advanced
}

// StartImitation starts the embedded imitation that [Start] uses without
// redis-server. It stops when the test ends.
func StartImitation(tb testing.TB) *Server {
	tb.Helper()
	m := &imitation{redis: miniredis.NewMiniRedis(), at: time.Now()}
	if err := m.start(m.redis.Start); err != nil {
		tb.Fatalf("redistest: starting the embedded server: %v", err)
	}
	tb.Cleanup(m.redis.Close)
	return &Server{tb: tb, addr: m.redis.Addr(), mini: m}
}

// advance lets the clock of the embedded server, which does not run by itself, catch up with the real one. Each command
// does so before it runs, so an entry ends neither early nor late. A command of a script, or beside another command,
// leaves it to the next one: the server is locked then, and in a script by its own caller. It advances by whole
// milliseconds, because each advance looks at all keys.
func (m *imitation) advance() {
	if !m.redis.TryLock() {
		return
	}
	m.redis.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if late := time.Since(m.at).Truncate(time.Millisecond); late > 0 {
		m.redis.FastForward(late)
		m.at = m.at.Add(late)
	}
}

func (m *imitation) stop() { m.redis.Close() }

// restart starts the server empty, like a process without persistence.
func (m *imitation) restart(tb testing.TB) {
	tb.Helper()
	m.redis.FlushAll()
	if err := m.start(m.redis.Restart); err != nil {
		tb.Fatalf("redistest: restarting the embedded server: %v", err)
	}
}

// start starts a run of the server, by begin.
func (m *imitation) start(begin func() error) error {
	if err := begin(); err != nil {
		return err
	}
	run := fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32()) // its name as a master
	m.redis.Server().SetPreHook(func(peer *server.Peer, cmd string, args ...string) bool {
		m.advance()
		return infoReplication(peer, cmd, args, run) || m.scanBytes(peer, cmd, args...)
	})
	return nil
}

// infoReplication answers INFO for the replication of a run of a master: near caches and the fence ask for it, and
// the embedded server has no such section. It reports whether it answered.
func infoReplication(peer *server.Peer, cmd string, args []string, run string) bool {
	if cmd != "INFO" || len(args) != 1 || !strings.EqualFold(args[0], "replication") {
		return false
	}
	peer.WriteBulk("# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_replid:" + run + "\r\n")
	return true
}

// scanBytes answers a SCAN for a prefix that is not valid UTF-8. The embedded
// server would turn the pattern into a regular expression and panic. scanBytes
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
	peer.WriteBulk("0") // all in one page
	peer.WriteLen(len(keys))
	for _, key := range keys {
		peer.WriteBulk(key)
	}
	return true
}

// literalPrefix returns the prefix in a pattern of the form prefix*, and whether
// the pattern has that form.
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
