package main

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

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/maintenance/internal/tour"
)

const (
	// childTimeout bounds how long a process takes to start and to end.
	childTimeout = 20 * time.Second
	// tryEvery is the time between attempts to reach a started process.
	tryEvery = 20 * time.Millisecond
)

// demoTwo takes the tour of two processes with one Redis and one database, and then
// that of two more with near caches. If the configuration has no Redis, it starts
// one, if redis-server is installed.
func demoTwo(ctx context.Context, c config, stdout io.Writer) (err error) {
	p := &processes{ended: make(chan error)}
	defer func() { err = errors.Join(err, p.stop()) }()
	if p.dir, err = os.MkdirTemp("", "maintenance"); err != nil {
		return err
	}
	ctx, p.cancel = context.WithCancel(ctx)
	if c.redisURL == "" {
		path, err := exec.LookPath("redis-server")
		if err != nil {
			say(stdout, "\nTwo processes are left out: there is no redis-server on the PATH, and no -redis was given.\n")
			return nil
		}
		if c.redisURL, err = p.startRedis(ctx, path); err != nil {
			return err
		}
	}
	if c.database == "" {
		c.database = filepath.Join(p.dir, "maintenance.db")
	}
	report := func(line string) { say(stdout, "%s\n", line) }
	plain := c
	plain.near = nearflag.Off
	one, other, err := p.startServices(ctx, plain)
	if err != nil {
		return err
	}
	say(stdout, "\nTwo processes of it, %s and %s, on one Redis and one database.\n\n", one, other)
	if err := tour.RunTwo(ctx, one, other, report, c.tour); err != nil {
		return err
	}
	if c.near == nearflag.Off {
		c.near = nearflag.Strict
	}
	if one, other, err = p.startServices(ctx, c); err != nil {
		return err
	}
	say(stdout, "\nTwo more, %s and %s, with near caches: %s.\n\n", one, other, c.near)
	if err := tour.RunNear(ctx, one, other, c.near.Window(), report, c.tour); err != nil {
		return err
	}
	return demoDrill(ctx, c, stdout)
}

// startServices starts this program twice.
func (p *processes) startServices(ctx context.Context, c config) (one, other string, err error) {
	if one, err = p.startService(ctx, c); err == nil {
		other, err = p.startService(ctx, c)
	}
	return one, other, err
}

// processes are the processes that the demo has started.
type processes struct {
	dir     string // their files; removed at the end
	cancel  context.CancelFunc
	started int
	ended   chan error // the result of each process
}

// start starts a process that ends with ctx. The process is interrupted first, and
// killed after childTimeout.
func (p *processes) start(ctx context.Context, stdout io.Writer, path string, args ...string) error {
	command := exec.CommandContext(ctx, path, args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = childTimeout
	var complaints bytes.Buffer
	command.Stdout, command.Stderr = stdout, &complaints
	if err := command.Start(); err != nil {
		return err
	}
	p.started++
	go func() {
		err := command.Wait()
		if ctx.Err() != nil && command.ProcessState.Success() {
			err = nil // it ended because it was interrupted
		}
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, &complaints)
		}
		p.ended <- err
	}()
	return nil
}

// stop ends all processes and removes their files.
func (p *processes) stop() error {
	var errs []error
	if p.cancel != nil {
		p.cancel()
	}
	for range p.started {
		errs = append(errs, <-p.ended)
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}

// startRedis starts a Redis without a TCP port and returns its URL.
func (p *processes) startRedis(ctx context.Context, path string) (url string, err error) {
	socket := filepath.Join(p.dir, "redis.sock")
	err = p.start(ctx, nil, path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", p.dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
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

// startService starts this program as a service and returns its URL.
func (p *processes) startService(ctx context.Context, c config) (url string, err error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	said := &greeting{url: make(chan string, 1)}
	args := []string{
		"-addr", "127.0.0.1:0", "-redis", c.redisURL, "-db", c.database,
		"-latency", c.latency.String(), "-store-timeout", c.storeTimeout.String(),
	}
	if c.near != nearflag.Off {
		args = append(args, "-near", c.near.String())
	}
	err = p.start(ctx, said, path, args...)
	if err != nil {
		return "", err
	}
	timeout := time.NewTimer(childTimeout)
	defer timeout.Stop()
	select {
	case url := <-said.url:
		return url, nil
	case err := <-p.ended:
		p.started--
		return "", errors.Join(errors.New("a process ended before it served"), err)
	case <-timeout.C:
		return "", errors.New("a process does not say where it serves")
	case <-ctx.Done():
		return "", ctx.Err()
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
