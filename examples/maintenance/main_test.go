package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience bounds how long a test waits for a process or a socket.
const patience = 30 * time.Second

// The demo starts processes of its own program, which is this one here. Tests have
// no flag -addr.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-addr" {
		main()
	}
	os.Exit(m.Run())
}

// startService starts a service on a free port and returns its URL.
func startService(t *testing.T, c config) string {
	t.Helper()
	a, err := newApp(context.WithoutCancel(t.Context()), c)
	require.NoError(t, err)
	return serve(t, a)
}

// serve serves on a free port until the test ends, and returns the URL.
func serve(t *testing.T, a *app) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, errors.Join(<-served, a.close()))
	})
	return "http://" + listener.Addr().String()
}

func TestBadCommandLines(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone.Close()
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":     {[]string{"-nosuch"}, exitBadCall, "-nosuch"},
		"argument":         {[]string{"serve"}, exitBadCall, `"serve"`},
		"bad latency":      {[]string{"-latency", "long"}, exitBadCall, "long"},
		"negative latency": {[]string{"-latency", "-1s"}, exitBadCall, "negative"},
		"no timeout":       {[]string{"-store-timeout", "0s"}, exitBadCall, "positive"},
		"bad near":         {[]string{"-redis", "redis://localhost", "-near", "exact"}, exitBadCall, "bounded or strict"},
		"near to nothing":  {[]string{"-near", "strict"}, exitBadCall, "-near strict: needs a cache that processes share"},
		"port in use":      {[]string{"-addr", taken.Addr().String()}, exitFailed, taken.Addr().String() + ", choose another"},
		"bad address":      {[]string{"-addr", "nowhere"}, exitFailed, "nowhere"},
		"bad Redis URL":    {[]string{"-redis", "http://localhost"}, exitFailed, "-redis"},
		"no Redis there":   {[]string{"-redis", "redis://" + gone.Addr().String()}, exitFailed, "cannot reach " + gone.Addr().String()},
		"no such folder":   {[]string{"-db", filepath.Join(t.TempDir(), "nosuch", "m.db")}, exitFailed, "m.db"},
		"a folder as file": {[]string{"-demo", "-db", t.TempDir()}, exitFailed, "open database"},
		"help":             {[]string{"-help"}, 0, "-demo"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, &stdout, &stderr)
			assert.Equal(t, test.code, code, "exit code; it said %q", &stderr)
			assert.Contains(t, stderr.String(), test.says, "what it said")
		})
	}
}

// The real program: it says where it is, answers, and ends in order while a
// client listens.
func TestProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent SIGTERM on Windows")
	}
	program := filepath.Join(t.TempDir(), "maintenance")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", output)
	command := exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "m.db"))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	defer time.AfterFunc(patience, func() { _ = command.Process.Kill() }).Stop()
	lines := bufio.NewReader(stdout)
	url, curls := readGreeting(t, lines)
	assert.Len(t, curls, 3, "lines to try")

	body := request(t, http.MethodGet, url+"/maintenances?status=planned", "")
	assert.Contains(t, body, "Rotate the signing keys", "listed")
	assert.Contains(t, body, "Inês Carvalho", "listed")
	stream, err := http.Get(url + "/signals")
	require.NoError(t, err)
	defer stream.Body.Close()
	signals := bufio.NewReader(stream.Body)
	expectLine(t, signals, ": listening")
	patched := request(t, http.MethodPatch, url+"/maintenances/5", `{"title": "Clean up all outgoing mail"}`)
	assert.Contains(t, patched, "Clean up all outgoing mail", "what the patch answered")
	expectLine(t, signals, "event: maintenance.updated")
	expectLine(t, signals, `data: {"id":5,"version":2,"system_ids":["mail"]}`)
	assert.Equal(t, patched, request(t, http.MethodGet, url+"/maintenances/5", ""), "what is read after the patch")

	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(signals)
	assert.NoError(t, err, "the stream was cut off: after %q", rest)
	_, _ = io.Copy(io.Discard, lines) // to the end, which Wait asks for
	assert.NoError(t, command.Wait(), "ended\n%s", &stderr)
	assert.Empty(t, stderr.String(), "it complained")
}

// readGreeting returns the URL and the lines to try that the program prints.
func readGreeting(t *testing.T, lines *bufio.Reader) (url string, curls []string) {
	t.Helper()
	find := regexp.MustCompile(`http://[0-9.]+:[0-9]+`)
	for len(curls) < 3 {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "the program ended")
		if url == "" {
			url = find.FindString(line)
		}
		if strings.Contains(line, "curl ") && strings.Contains(line, url) {
			curls = append(curls, strings.TrimSpace(line))
		}
	}
	return url, curls
}

func request(t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err, "%s %s: %s\n%s", method, url, response.Status, text)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s %s: %s\n%s", method, url, response.Status, text)
	return string(text)
}

// expectLine reads up to the given line.
func expectLine(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	var seen []string
	for {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, "no line %q in %q: %v", want, seen, errors.Join(err, t.Context().Err()))
		if line = strings.TrimSuffix(line, "\n"); line == want {
			return
		}
		seen = append(seen, line)
	}
}
