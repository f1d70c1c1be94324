package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// service imitates the maintenance service: every second request is a query.
func service(t *testing.T) (url string, changed *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	changed = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPatch:
			changed.Add(1)
		case r.URL.RequestURI() == "/maintenances":
			_, _ = w.Write([]byte(`{"maintenances": [{"id": 1, "status": "planned", "system_ids": ["dns"]}]}`))
		case r.URL.Path == "/stats":
			_, _ = fmt.Fprintf(w, `{"database": {"queries": %d}, "provider": {"kind": "memory", "database": "imitated"}}`, requests.Load()/2)
		case strings.HasPrefix(r.URL.Path, "/systems/maintenances"):
			w.WriteHeader(http.StatusTeapot)
		default:
			requests.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, changed
}

// It counts what is answered, what reaches the database, and what fails.
func TestLoad(t *testing.T) {
	url, changed := service(t)
	var out bytes.Buffer
	err := run(t.Context(), []string{"-clients", "4", "-changes", "50", "-rounds", "3", "-duration", "200ms", url, url}, &out)
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| http.*, cache in memory, imitated \| (\d+) \| (\d+) \| \S+ \| \S+ \| (\d+) \|$`).
		FindAllStringSubmatch(out.String(), -1)
	require.Len(t, rows, 2, "printed %s", &out)
	for _, row := range rows {
		requests, _ := strconv.Atoi(row[1])
		queries, _ := strconv.Atoi(row[2])
		assert.NotZero(t, requests, "row %s: want half as many queries as requests, and failures", row[0])
		assert.LessOrEqual(t, max(2*queries-requests, requests-2*queries), requests/20, "row %s: want half as many queries as requests, and failures", row[0])
		assert.NotEqual(t, "0", row[3], "row %s: want half as many queries as requests, and failures", row[0])
	}
	assert.NotZero(t, changed.Load(), "nothing was changed")
}

func TestBadCommandLines(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no service":       {nil, "URLs"},
		"another machine":  {[]string{"http://192.0.2.1:8080"}, "on this machine"},
		"another name":     {[]string{"http://example.com"}, "on this machine"},
		"not HTTP":         {[]string{"redis://localhost"}, "on this machine"},
		"too many clients": {[]string{"-clients", "257", "http://localhost"}, "-clients"},
		"no client":        {[]string{"-clients", "0", "http://localhost"}, "-clients"},
		"too many changes": {[]string{"-changes", "101", "http://localhost"}, "-changes"},
		"too many rounds":  {[]string{"-rounds", "10", "http://localhost"}, "-rounds"},
		"too long":         {[]string{"-duration", "61s", "http://localhost"}, "-duration"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(test.args)
			assert.ErrorContains(t, err, test.says)
		})
	}
}
