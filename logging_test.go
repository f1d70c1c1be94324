package readthrough_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// logged returns a logger, and what it has written since it was asked last, without the time.
func logged() (logger *slog.Logger, lines func() []string) {
	var mu sync.Mutex
	var buffer bytes.Buffer
	handler := slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return buffer.Write(p)
	}), &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return slog.New(handler), func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		text := buffer.String()
		buffer.Reset()
		return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	}
}

// TestOutageIsTwoLines: one when the store is out of reach, with the cause, and one when
// it is back. What is pending has a line of its own, and no line has a key.
func TestOutageIsTwoLines(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		logger, lines := logged()
		r := newRig(t, readthrough.Options{Logger: logger}, 0)
		r.store.fail(faultError, "get", "set", "delete", "deletePrefix")
		for range 20 {
			r.read("secret")
		}
		assert.Equal(t, []string{
			`level=ERROR msg="readthrough: the store is out of reach: reads load, and invalidations wait" cause="the store is down" shard=-1`,
		}, lines(), "20 reads while the store is away")
		for range 3 {
			require.ErrorIs(t, r.scope.Invalidate(t.Context(), "secret"), readthrough.ErrInvalidationPending)
		}
		pending := lines()
		require.Len(t, pending, 1, "three invalidations in one second")
		assert.Contains(t, pending[0], `level=ERROR msg="readthrough: invalidation not confirmed, retrying: other processes may read the old value until then" scope=s targets=1 cause=`)
		assert.NotContains(t, pending[0], "secret")

		time.Sleep(time.Minute)
		lines()
		r.store.fail(faultNone, "get", "set", "delete", "deletePrefix")
		time.Sleep(time.Minute)
		back := lines()
		require.Len(t, back, 1, "the store is back: %q", back)
		assert.Contains(t, back[0], `level=INFO msg="readthrough: the store is back" away=1m`)
		assert.Regexp(t, `requests_not_made=[1-9]\d* shard=-1$`, back[0])
		r.read("secret")
		assert.Empty(t, lines(), "all is well")
	})
}

// TestLoggerThatPanics fails no invalidation.
func TestLoggerThatPanics(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		logger := slog.New(slog.NewTextHandler(writerFunc(func([]byte) (int, error) { panic("oh") }), nil))
		r := newRig(t, readthrough.Options{Logger: logger}, 0)
		r.store.fail(faultError, "get", "set", "delete")
		for range 20 {
			r.read("k")
			require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
		}
		r.store.fail(faultNone, "get", "set", "delete")
		time.Sleep(time.Minute)
		assert.Zero(t, r.scope.Stats().Pending)
	})
}
