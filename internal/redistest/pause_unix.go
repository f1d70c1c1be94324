//go:build unix

package redistest

import "syscall"

// stop freezes the process. Its sockets stay open and accept data.
func (p *process) stop() error { return p.handle.Signal(syscall.SIGSTOP) }

// cont resumes a frozen process.
func (p *process) cont() error { return p.handle.Signal(syscall.SIGCONT) }
