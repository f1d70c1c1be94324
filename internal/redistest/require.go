package redistest

import (
	"os"
	"os/exec"
	"testing"
)

// requireEnv makes a missing redis-server a failure.
const requireEnv = "READTHROUGH_REQUIRE_REDIS"

// required reports whether a missing redis-server is a failure.
func required() bool {
	return os.Getenv(requireEnv) == "1" //nolint:forbidigo // how CI says that nothing may be skipped
}

// Installed reports whether there is a redis-server on PATH.
func Installed() bool { return binary() != "" }

// Require skips the test if there is no redis-server on PATH, or fails it where
// that is an error.
func Require(tb testing.TB) {
	tb.Helper()
	requireAt(tb, binary())
}

// requireAt is Require for a server that was found at path, or was not.
func requireAt(tb testing.TB, path string) {
	tb.Helper()
	if path != "" {
		return
	}
	const hint = "redistest: this test needs a redis-server on PATH; to get one: apt-get install redis-server, or brew install redis"
	if required() {
		tb.Fatalf("%s (%s=1 makes this a failure)", hint, requireEnv)
	}
	tb.Skip(hint)
}

// binary is the path of redis-server, or empty.
func binary() string {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return ""
	}
	return path
}
