package backend

import (
	"errors"
	"net"
)

// Cause returns the error of the network in err, which has the address, or else its innermost error. Of
// errors that are joined, the cause comes last. The errors around it name keys.
func Cause(err error) error {
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network
	}
	for inner := err; inner != nil; {
		err = inner
		if many, ok := inner.(interface{ Unwrap() []error }); ok {
			if all := many.Unwrap(); len(all) > 0 {
				inner = all[len(all)-1]
				continue
			}
		}
		inner = errors.Unwrap(inner)
	}
	return err
}
