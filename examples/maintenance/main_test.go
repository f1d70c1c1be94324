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
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, a)
}

// serve serves on a free port until the test ends, and returns the URL.
func serve(t *testing.T, a *app) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-served, a.close()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

func TestBadCommandLines(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
			if code != test.code || !strings.Contains(stderr.String(), test.says) {
				t.Errorf("exit code %d, said %q; want %d and %q", code, &stderr, test.code, test.says)
			}
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
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	command := exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "m.db"))
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(patience, func() { _ = command.Process.Kill() }).Stop()
	lines := bufio.NewReader(stdout)
	url, curls := readGreeting(t, lines)
	if len(curls) != 3 {
		t.Errorf("%d lines to try: %q", len(curls), curls)
	}

	body := request(t, http.MethodGet, url+"/maintenances?status=planned", "")
	if !strings.Contains(body, "Rotate the signing keys") || !strings.Contains(body, "Inês Carvalho") {
		t.Errorf("listed %s", body)
	}
	stream, err := http.Get(url + "/signals")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	signals := bufio.NewReader(stream.Body)
	expectLine(t, signals, ": listening")
	patched := request(t, http.MethodPatch, url+"/maintenances/5", `{"title": "Clean up all outgoing mail"}`)
	if !strings.Contains(patched, "Clean up all outgoing mail") {
		t.Errorf("patched to %s", patched)
	}
	expectLine(t, signals, "event: maintenance.updated")
	expectLine(t, signals, `data: {"id":5,"version":2,"system_ids":["mail"]}`)
	if body := request(t, http.MethodGet, url+"/maintenances/5", ""); body != patched {
		t.Errorf("read %s\nafter %s", body, patched)
	}

	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(signals); err != nil {
		t.Errorf("the stream was cut off: %v after %q", err, rest)
	}
	_, _ = io.Copy(io.Discard, lines) // to the end, which Wait asks for
	if err := command.Wait(); err != nil {
		t.Errorf("ended with %v\n%s", err, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("complained: %s", &stderr)
	}
}

// readGreeting returns the URL and the lines to try that the program prints.
func readGreeting(t *testing.T, lines *bufio.Reader) (url string, curls []string) {
	t.Helper()
	find := regexp.MustCompile(`http://[0-9.]+:[0-9]+`)
	for len(curls) < 3 {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the program ended: %v", err)
		}
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
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", method, url, response.Status, err, text)
	}
	return string(text)
}

// expectLine reads up to the given line.
func expectLine(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	var seen []string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("no line %q in %q: %v", want, seen, errors.Join(err, t.Context().Err()))
		}
		if line = strings.TrimSuffix(line, "\n"); line == want {
			return
		}
		seen = append(seen, line)
	}
}
