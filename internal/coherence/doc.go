// Package coherence has no code but its tests: they run fleets of processes that
// share one Redis server, over networks with faults, and check every read of every
// process against what was announced anywhere before the read began.
//
//	go test ./internal/coherence                                    a few of the fleets
//	READTHROUGH_PROOFS=1 go test ./internal/coherence               what CI runs
//	go test ./internal/coherence -coherence.full -timeout=60m \
//	        -coherence.tables=tables.md                             everything, and the tables of docs/consistency.md
//	go test ./internal/coherence -coherence.seed=42                 the same load again
//
// The test binary starts itself again for each process of a fleet. The source of
// truth, a version for each key, and everything that was announced lie in a file
// that all of them have mapped into memory: what one process has written there
// before it does something, every other sees afterwards.
package coherence
