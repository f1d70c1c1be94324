package redistest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the system kill the process when the thread ends that
// started it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
