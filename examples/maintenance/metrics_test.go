package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMetrics: what the dashboard and the alerts ask for is what /metrics has, by name and by label.
func TestMetrics(t *testing.T) {
	t.Parallel()
	url := startService(t, config{})
	get := func(path string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		require.Equal(t, http.StatusOK, answer.StatusCode, path)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return string(body)
	}
	get("/maintenances/5")
	get("/maintenances/5")
	patch, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, url+"/maintenances/5", strings.NewReader(`{"title":"x"}`))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(patch)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	served := get("/metrics")
	assert.Contains(t, served, `readthrough_reads_total{readthrough_result="hit",readthrough_scope="maintenance"} 1`)
	assert.NotContains(t, served, "maintenance:5", "a key is no label")

	// An error has a series of its own once there is one, and so has what samples find.
	served += "readthrough_errors_total{readthrough_operation=,error_type=} readthrough_sample_stale_age_seconds_count{} "
	dashboard, err := os.ReadFile("observability/dashboard.json")
	require.NoError(t, err)
	require.True(t, json.Valid(dashboard))
	alerts, err := os.ReadFile("observability/alerts.yaml")
	require.NoError(t, err)
	parts := regexp.MustCompile(`_(sum|count|bucket)$`)
	names := regexp.MustCompile(`\breadthrough_[a-z_]+`)
	asked := names.FindAllString(string(dashboard)+string(alerts), -1)
	require.Greater(t, len(asked), 30)
	for _, name := range asked {
		assert.Regexp(t, `(?m)\b`+name+`[{ =]`, served, "asked for, and not there")
	}
	for line := range strings.Lines(served) { // and nothing is left out of the dashboard
		if name := parts.ReplaceAllString(names.FindString(line), ""); strings.HasPrefix(line, "readthrough_") {
			assert.Contains(t, string(dashboard), name, "%s is not in the dashboard", name)
		}
	}
}
