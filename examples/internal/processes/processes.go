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

// Group are processes that end together: the services first, because a service that ends tells Redis so.
type Group struct {
	dir      string // their files; removed at the end
	services kind
	servers  kind       // Redis
	ended    chan error // the result of each process
}

// kind are processes that are told to end at the same time.
type kind struct {
	ctx     context.Context //nolint:containedctx // the life of the processes
	cancel  context.CancelFunc
	started int
}

func newKind(ctx context.Context) (k kind) {
	k.ctx, k.cancel = context.WithCancel(ctx)
	return k
}

// NewGroup returns a group without processes. They end with ctx, or by Stop.
func NewGroup(ctx context.Context) (*Group, error) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return nil, err
	}
	g := &Group{dir: dir, ended: make(chan error)}
	g.services, g.servers = newKind(ctx), newKind(ctx)
	return g, nil
}

// Dir is a folder for the files of the processes. Stop removes it.
func (g *Group) Dir() string { return g.dir }

// start starts a process. In the end, it is interrupted first, and
// killed after childTimeout.
func (g *Group) start(k *kind, stdout io.Writer, path string, args ...string) error {
	command := exec.CommandContext(k.ctx, path, args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = childTimeout
	var complaints bytes.Buffer
	command.Stdout, command.Stderr = stdout, &complaints
	if err := command.Start(); err != nil {
		return err
	}
	k.started++
	go func() {
		err := command.Wait()
		if k.ctx.Err() != nil && command.ProcessState.Success() {
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
	var errs []error
	for _, k := range []*kind{&g.services, &g.servers} {
		k.cancel()
		for range k.started {
			errs = append(errs, <-g.ended)
		}
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
	err = g.start(&g.servers, nil, path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", g.dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(g.servers.ctx, childTimeout)
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
	if err := g.start(&g.services, said, path, args...); err != nil {
		return "", err
	}
	timeout := time.NewTimer(childTimeout)
	defer timeout.Stop()
	select {
	case url := <-said.url:
		return url, nil
	case err := <-g.ended:
		g.services.started--
		return "", errors.Join(errors.New("a process ended before it served"), err)
	case <-timeout.C:
		return "", errors.New("a process does not say where it serves")
	case <-g.services.ctx.Done():
		return "", g.services.ctx.Err()
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
