//go:build !unix

package redistest

import "errors"

// stop is not supported.
func (p *process) stop() error { return errors.ErrUnsupported }

// cont is not supported.
func (p *process) cont() error { return errors.ErrUnsupported }
