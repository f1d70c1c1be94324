//go:build !unix

package codecs_test

import "time"

var began = time.Now()

// processorTime is the time, where the system does not say what a process has used.
func processorTime() time.Duration { return time.Since(began) }
