// Package race tells tests whether the race detector is on. The race detector
// allocates memory, and makes interpreted code about twenty times slower.
package race
