package provider

import "context"

// Pinger is the capability of a store to say whether it can be reached.
type Pinger interface {
	// Ping asks each server of the store, and returns nil if all of them answer. The error says the
	// address and the cause, such as "127.0.0.1:6379: connect: connection refused". It names no key,
	// because it is shown to whoever asks whether a service is well.
	Ping(ctx context.Context) error
}

// Advisor is the capability of a store to find out whether its servers are set up well for a cache.
// The cache asks once, in the background, soon after it was made, and logs the answer.
type Advisor interface {
	// Advise returns what should be changed, the most urgent first, and nothing if all is well. What
	// the store may not look at, it leaves out. An error means that a server has not answered: the
	// cache asks again later.
	Advise(ctx context.Context) ([]Advice, error)
}

// Advice is something about a store that should be changed.
type Advice struct {
	// About is what it is about, in a word, such as "permissions".
	About string
	// Problem is what is wrong and what follows from it. Example: "the user \"shop\" may not run
	// evalsha: nothing is stored".
	Problem string
	// Do is what to do. Example: "ACL SETUSER shop +evalsha".
	Do string
}
