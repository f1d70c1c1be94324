package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/examples/dashboard/internal/client"
	"github.com/readthrough/readthrough/examples/dashboard/internal/sampler"
	"github.com/readthrough/readthrough/examples/internal/processes"
	"github.com/readthrough/readthrough/internal/redistest"
)

// patience bounds how long a test waits for a process or a page.
const patience = 30 * time.Second

// The tests start processes of their own program, which is this one here. Tests have no flag -addr.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-addr" {
		main()
	}
	os.Exit(m.Run())
}

// startChild starts the dashboard in a process of its own, and returns its URL.
func startChild(t *testing.T, args ...string) string {
	t.Helper()
	g, err := processes.NewGroup(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, g.Stop()) })
	url, err := g.Service(os.Args[0], append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	require.NoError(t, err)
	return url
}

// start starts the dashboard in this process, and returns it and its URL.
func start(t *testing.T, c config) (*app, string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	c.systems, c.storeTimeout = 12, 10*time.Second
	a, err := newApp(ctx, c)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- a.serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, errors.Join(<-served, a.close()))
	})
	return a, "http://" + listener.Addr().String()
}

func TestBadCommandLines(t *testing.T) {
	for says, args := range map[string][]string{
		"-nosuch":                            {"-nosuch"},
		`"serve"`:                            {"serve"},
		"must be bounded or strict":          {"-near", "far"},
		"needs a cache that processes share": {"-near", "strict"},
		"12 to 5000":                         {"-systems", "3"},
		"0 to 1000":                          {"-rate", "-1"},
		"must not be negative":               {"-sample", "-1s"},
		"must be positive":                   {"-store-timeout", "0"},
	} {
		var stderr bytes.Buffer
		assert.Equal(t, exitBadCall, run(t.Context(), args, &bytes.Buffer{}, &stderr), "%v", args)
		assert.Contains(t, stderr.String(), says)
	}
}

// The tour finds every promise kept: one process in memory, two on one Redis.
func TestDemo(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-demo"}, &stdout, &stderr)
	require.Zero(t, code, "it said\n%s%s", &stdout, &stderr)
	assert.Contains(t, stdout.String(), "Every promise was kept.")
	t.Logf("%s", &stdout)
}

// The sampler finds what a process reads after another one has changed the database behind its back; and nothing if the two share
// a cache.
func TestSampler(t *testing.T) {
	t.Parallel()
	redistest.Require(t)
	for name, url := range map[string]string{"no shared cache": "", "one Redis": "redis://" + redistest.Start(t, redistest.Options{}).Addr()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "dashboard.db")
			a, _ := start(t, config{database: file, redisURL: url})
			_, other := start(t, config{database: file, redisURL: url})
			s := sampler.New(a.backends)
			require.NoError(t, s.Sample(t.Context(), "lin"))
			assert.Zero(t, s.Stats().Stale, "nothing was changed")
			_, err := client.Client{URL: other}.Play(t.Context(), "announcements.create")
			require.NoError(t, err)
			require.NoError(t, s.Sample(t.Context(), "lin"))
			if url == "" {
				assert.EqualValues(t, 1, s.Stats().Stale)
				assert.Equal(t, "announcements", s.Stats().Last)
			} else {
				assert.Zero(t, s.Stats().Stale)
			}
			assert.NotZero(t, s.Stats().Checked)
		})
	}
}
