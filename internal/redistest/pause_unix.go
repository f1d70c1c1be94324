//go:build unix

package redistest

import "syscall"

// stop freezes the process. Its sockets stay open and take data.
func (p *process) stop() error { return p.handle.Signal(syscall.SIGSTOP) }

// cont lets a frozen process go on.
func (p *process) cont() error { return p.handle.Signal(syscall.SIGCONT) }
