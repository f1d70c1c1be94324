package redistest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// A process is a running redis-server. handle is set before startProcess
// returns, and only read after that.
type process struct {
	handle *os.Process
	ended  chan struct{} // closed when the process has ended
	output *tail
}

// startProcess starts the program at path. If the system supports it, the
// process ends when the test binary ends, even by a crash.
func startProcess(ctx context.Context, path, dir string, args []string) (*process, error) {
	//nolint:gosec // the program is redis-server
	cmd := exec.CommandContext(ctx, path, args...)
	p := &process{ended: make(chan struct{}), output: &tail{}}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p.output, p.output
	dieWithParent(cmd)

	started := make(chan error)
	go func() {
		// The system ties the process to the thread that started it. This thread
		// therefore stays until the process has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.handle = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() //nolint:errcheck // it was killed, or its output says more
			close(p.ended)
		}
	}()
	return p, <-started
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process at once, without a chance to save, and waits until it
// has ended.
func (p *process) kill() error {
	if err := p.handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// tail keeps the last tailBytes bytes that a process prints.
type tail struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

const tailBytes = 16 << 10

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if extra := t.buf.Len() - tailBytes; extra > 0 {
		t.buf.Next(extra)
	}
	return len(p), nil
}

// String returns the bytes that tail has kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
