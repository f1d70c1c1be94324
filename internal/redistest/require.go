package redistest

import (
	"os"
	"os/exec"
	"testing"
)

const (
	// requireEnv is the environment variable that makes a missing redis-server a
	// failure.
	requireEnv = "READTHROUGH_REQUIRE_REDIS"
	// serverEnv is the environment variable with the path of the server to test with.
	serverEnv = "READTHROUGH_REDIS_SERVER"
)

// required reports whether a missing redis-server is a failure.
func required() bool {
	return os.Getenv(requireEnv) == "1" //nolint:forbidigo // how CI says that nothing may be skipped
}

// Installed reports whether there is a server: that of READTHROUGH_REDIS_SERVER, or a
// redis-server on PATH.
func Installed() bool { return binary() != "" }

// Require skips the test if there is no server, see [Installed]. If
// READTHROUGH_REQUIRE_REDIS is 1, it fails the test.
func Require(tb testing.TB) {
	tb.Helper()
	requireAt(tb, binary())
}

// requireAt is Require for a server at path, empty if there is none.
func requireAt(tb testing.TB, path string) {
	tb.Helper()
	if path != "" {
		return
	}
	const hint = "redistest: this test needs a redis-server on PATH, or its path in " + serverEnv + "; to get one: apt-get install redis-server, or brew install redis"
	if required() {
		tb.Fatalf("%s (%s=1 makes this a failure)", hint, requireEnv)
	}
	tb.Skip(hint)
}

// binary returns the path of the server, empty if there is none.
func binary() string {
	name := os.Getenv(serverEnv) //nolint:forbidigo // tests of all packages take the same server
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
