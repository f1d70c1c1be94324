package readthrough

import (
	"errors"
	"fmt"
)

// errGoexit is why a function of the user has not returned, if it has ended its goroutine.
var errGoexit = errors.New("it called runtime.Goexit")

// apart runs f, which calls a function of the user, in a goroutine of its own, and waits for it. Neither a
// panic nor a [runtime.Goexit] in f goes further: the caller has something to finish, which a Goexit in
// its own goroutine would cut off, and nothing can stop a Goexit. It returns why f has not returned;
// nil: it has.
//
// It waits no longer when over is closed. nil: it waits until f has ended.
//
// A goroutine costs less than a microsecond. So what is called for each hit or miss is not run apart
// (keyspace.tell): it ends the goroutine of its reader, and [read.wait] cleans up behind it.
func apart(over <-chan struct{}, f func()) error {
	ended := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() { ended <- err }() // also if the value of the panic ends the goroutine when it is formatted
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("it panicked: %v", r)
			}
		}()
		f()
		err = nil
	}()
	select {
	case err := <-ended:
		return err
	case <-over:
		return nil
	}
}
