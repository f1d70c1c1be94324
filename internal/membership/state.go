package membership

// state is how far a member has come with the messages. It decides and does nothing: it has no lock, no
// clock and no memory. The zero state has seen nothing: the member has to hear a beat first.
//
// Invariant M1 (see the package comment): every message of epoch up to seen was applied, or
// everything was dropped after it.
type state struct {
	epoch string
	seen  int64
}

// verdict is what a member has to do with what has arrived.
type verdict uint8

const (
	// pass: nothing more than a message says.
	pass verdict = iota
	// proof: the beat proves that nothing was missed until it was executed.
	proof
	// dropAll: something was missed. Drop everything. Of a beat, it is a proof after that.
	dropAll
	// outOfStep: the message is of an epoch that the member does not know. Drop everything, and
	// answer no more until the next beat.
	outOfStep
)

// message takes a message that removes something. The member applies it in every case, before it
// asks: to drop is always right, however late or often a message comes.
func (s *state) message(epoch string, seq int64) verdict {
	switch {
	case s.epoch == "":
		return pass // it has nothing yet that could be old: the first beat drops everything
	case epoch != s.epoch:
		*s = state{}
		return outOfStep
	case seq <= s.seen:
		return pass // late, or a second time
	case seq == s.seen+1:
		s.seen = seq
		return pass
	default:
		s.seen = seq
		return dropAll
	}
}

// beat takes a beat of this member.
func (s *state) beat(epoch string, seq int64) verdict {
	switch {
	case s.epoch == epoch && seq == s.seen:
		return proof
	case s.epoch == epoch && seq < s.seen:
		return pass // it is older than a message that has come before it
	default:
		*s = state{epoch, seq}
		return dropAll
	}
}
