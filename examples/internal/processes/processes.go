// Package processes starts the processes of the tours: a Redis, and services, each of which prints its URL.
package processes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

const (
	// childTimeout bounds how long a process takes to start and to end.
	childTimeout = 20 * time.Second
	// tryEvery is the time between attempts to reach a started process.
	tryEvery = 20 * time.Millisecond
)

// Group are processes that end together.
type Group struct {
	dir     string          // their files; removed at the end
	ctx     context.Context //nolint:containedctx // the life of the processes
	cancel  context.CancelFunc
	started int
	ended   chan error // the result of each process
}

// NewGroup returns a group without processes. They end with ctx, or by Stop.
func NewGroup(ctx context.Context) (*Group, error) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return nil, err
	}
	g := &Group{dir: dir, ended: make(chan error)}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g, nil
}

// Dir is a folder for the files of the processes. Stop removes it.
func (g *Group) Dir() string { return g.dir }

// start starts a process. In the end, it is interrupted first, and
// killed after childTimeout.
func (g *Group) start(stdout io.Writer, path string, args ...string) error {
	command := exec.CommandContext(g.ctx, path, args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = childTimeout
	var complaints bytes.Buffer
	command.Stdout, command.Stderr = stdout, &complaints
	if err := command.Start(); err != nil {
		return err
	}
	g.started++
	go func() {
		err := command.Wait()
		if g.ctx.Err() != nil && command.ProcessState.Success() {
			err = nil // it ended because it was interrupted
		}
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, &complaints)
		}
		g.ended <- err
	}()
	return nil
}

// Stop ends all processes and removes their files.
func (g *Group) Stop() error {
	g.cancel()
	var errs []error
	for range g.started {
		errs = append(errs, <-g.ended)
	}
	return errors.Join(append(errs, os.RemoveAll(g.dir))...)
}

// ErrNoRedis is the error if redis-server is not installed.
var ErrNoRedis = errors.New("there is no redis-server on the PATH")

// Redis starts a Redis without a TCP port and returns its URL.
func (g *Group) Redis() (url string, err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", ErrNoRedis
	}
	socket := filepath.Join(g.dir, "redis.sock")
	err = g.start(nil, path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", g.dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(g.ctx, childTimeout)
	defer cancel()
	again := time.NewTicker(tryEvery)
	defer again.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", socket)
		if err == nil {
			return "unix://" + socket, conn.Close()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return "", fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

// Service starts a program that prints its URL when it serves, and returns that.
func (g *Group) Service(path string, args ...string) (url string, err error) {
	said := &greeting{url: make(chan string, 1)}
	if err := g.start(said, path, args...); err != nil {
		return "", err
	}
	timeout := time.NewTimer(childTimeout)
	defer timeout.Stop()
	select {
	case url := <-said.url:
		return url, nil
	case err := <-g.ended:
		g.started--
		return "", errors.Join(errors.New("a process ended before it served"), err)
	case <-timeout.C:
		return "", errors.New("a process does not say where it serves")
	case <-g.ctx.Done():
		return "", g.ctx.Err()
	}
}

// greeting finds the URL of a service in what it prints.
type greeting struct {
	printed bytes.Buffer
	url     chan string // gets the first URL
}

// Write implements [io.Writer].
func (g *greeting) Write(text []byte) (int, error) {
	g.printed.Write(text)
	if found := serving.FindSubmatch(g.printed.Bytes()); found != nil {
		select {
		case g.url <- string(found[1]):
		default: // it was found before
		}
	}
	return len(text), nil
}

// serving matches the URL of a service and the space after the port.
var serving = regexp.MustCompile(`(http://[0-9.]+:[0-9]+) `)
