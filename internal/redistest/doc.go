// Package redistest starts real Redis servers for tests, and a TCP proxy that
// treats their connections badly.
//
//	srv := redistest.Start(t, redistest.Options{})
//	rdb := redis.NewClient(&redis.Options{Addr: srv.Addr()})
//
// Every server is a redis-server process of its own, on a free port of the
// loopback interface, with an empty directory and without persistence, and is
// killed when the test ends. Nothing is shared, so tests may run in parallel.
//
// Where redis-server is not installed, [Start] falls back on an embedded
// imitation that is good for simple commands, and everything that needs more
// skips the test. With the environment variable READTHROUGH_REQUIRE_REDIS=1,
// which is meant for CI, a missing server is a failure instead.
package redistest
