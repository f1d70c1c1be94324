//go:build !linux

package redistest

import "os/exec"

// dieWithParent does nothing: the system does not support it.
func dieWithParent(*exec.Cmd) {}
