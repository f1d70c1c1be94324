// Package race tells tests whether the race detector is on. It allocates, and makes
// what is interpreted some twenty times as slow.
package race
