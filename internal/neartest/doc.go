// Package neartest is a shared store in the process, for tests of near caches: it keeps entries as bytes,
// leases and holds keys, and tells members what was removed, by the protocol of package membership. A
// [Server] stands for the machine, and each [Store] for the end of one process. A test can hold up, lose,
// repeat and reorder what goes between them, and it runs in bubbles of testing/synctest.
package neartest
