// Package redistest starts real Redis servers for tests, and a TCP proxy that
// injects faults into their connections.
//
//	srv := redistest.Start(t, redistest.Options{})
//	rdb := redis.NewClient(&redis.Options{Addr: srv.Addr()})
//
// Every server is a redis-server process of its own: on a free port of the
// loopback interface, with an empty directory and without persistence. It is
// killed when the test ends. Tests share nothing, so they may run in parallel.
//
// There are also replicas ([StartReplica]), clusters ([StartCluster]), and a master
// that Sentinel watches ([StartSentinel]). The environment variable
// READTHROUGH_REDIS_SERVER names another server than redis-server on PATH, for example
// /opt/valkey/bin/valkey-server; Redis 6.2 and later and Valkey work.
//
// If redis-server is not installed, [Start] uses an embedded imitation, which
// supports simple commands. A test that needs more is skipped. With the
// environment variable READTHROUGH_REQUIRE_REDIS=1, which CI sets, such a test
// fails instead.
package redistest
