package membership

import (
	"context"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Server is how a process reaches the record. A shared store sets the functions. Each is one step on
// the server, and safe if it is executed late or twice: a late beat renews a member that then is waited
// for once more, and nothing else brings anything back.
type Server struct {
	// Beat asks for a beat. It returns when the server has answered; the beat itself comes by Listen.
	Beat func(ctx context.Context, beat Beat) error
	// Ack notes that the member has applied all messages of epoch up to seq.
	Ack func(ctx context.Context, member, epoch string, seq int64) error
	// Remove takes a member out of the record. With a stamp, only if the record is still that of epoch, and
	// the member still has that stamp. Zero: whatever the record is.
	Remove func(ctx context.Context, member, epoch string, stamp int64) error
	// Roll returns the record.
	Roll func(ctx context.Context) (Roll, error)
	// Listen receives the messages of all, and the beats of member, until ctx ends or the connection
	// does. It calls ready when the subscription is there, and deliver in the order in which they come,
	// one at a time.
	Listen func(ctx context.Context, member string, ready func(), deliver func(Message)) error
}

// Beat is a heartbeat, as it is sent.
type Beat struct {
	Member string
	// Number tells the beats of a member apart.
	Number int64
	// Lease is the lease that the record notes for the member; zero: the record is not changed.
	Lease time.Duration
	// Epoch and Seen are up to where the member has applied the messages.
	Epoch string
	Seen  int64
}

// Message is what comes by Listen: a beat, if Beat is not 0, and otherwise what was removed.
type Message struct {
	Epoch   string
	Seq     int64
	Removed provider.Removed
	// Sender is the member of the process that has removed it; "" if that has none.
	Sender string

	// Beat is the number of the beat. Renewed says that the record was changed.
	Beat    int64
	Renewed bool
}

// Roll is the record.
type Roll struct {
	Epoch string
	// Seq is the number of the announcement that returned the roll.
	Seq int64
	// Age is the age of the epoch, by the clock of the server.
	Age     time.Duration
	Members []Member
}

// Member is a member in the record.
type Member struct {
	ID string
	// Stamp is another one after each renewal.
	Stamp int64
	Lease time.Duration
	// Acked is up to which number the member has applied the messages.
	Acked int64
}

// The default of the lease, and how often it is renewed.
const (
	// DefaultLease is the lease of a strict member.
	DefaultLease = 500 * time.Millisecond
	// beatsPerLease is how many beats a member sends in a lease or window. With four, two in a row may
	// be late before the member has to ask the store for what it has.
	beatsPerLease = 4
)
