package providertest

import "github.com/readthrough/readthrough/provider"

func announceCases() []capabilityCase[provider.Announcer] {
	return []capabilityCase[provider.Announcer]{
		{
			"own",
			because("A call that removes tells the member of its own process before it returns, and so does Announce. The reader that comes after the call is in this process most often."),
			func(s *session, a provider.Announcer) {
				m := s.join(a, true)
				for _, r := range removals(s.store) {
					m.setHook(nil)
					if err := r.do(s.ctx(), s.store); err != nil {
						s.errorf("%s: unexpected error: %v", r.name, err)
					} else if !m.hasHeard(r.removed) {
						s.errorf("%s has returned, and the member of its process is not told", r.name)
					}
				}
			},
		},
		{
			"renews",
			because("A member may go on to answer for as long as it hears what is removed, and never for longer than its window from now. What it missed is over then."),
			func(s *session, a provider.Announcer) {
				m := s.join(a, false)
				s.eventually("the deadline of a member does not move", func() bool {
					m.mu.Lock()
					defer m.mu.Unlock()
					return m.until.After(m.first)
				})
				if !m.membership.Stats().Valid {
					s.eventually("the statistics of a member that may answer say that it may not", func() bool { return m.membership.Stats().Valid })
				}
			},
		},
		{
			"one-member",
			because("A store has one member at a time: a second Join is an error, until the membership is closed. Two near caches would share what only one of them is told."),
			func(s *session, a provider.Announcer) {
				m := s.join(a, false)
				if second, err := a.Join(provider.JoinOptions{Window: memberWindow}, &member{s: s}); err == nil || second != nil {
					s.errorf("a second Join returned membership %T and error %v, want an error", second, err)
				}
				s.leave(m)
				s.leave(s.join(a, true))
			},
		},
		{
			"bad-options",
			because("Join without a listener, or with a negative window, is an error. A member that nobody can tell, or that never may answer, is a mistake to be seen at the start."),
			func(s *session, a provider.Announcer) {
				if m, err := a.Join(provider.JoinOptions{Window: memberWindow}, nil); err == nil || m != nil {
					s.errorf("Join without a listener returned membership %T and error %v, want an error", m, err)
				}
				if m, err := a.Join(provider.JoinOptions{Window: -memberWindow}, &member{s: s}); err == nil || m != nil {
					s.errorf("Join with a negative window returned membership %T and error %v, want an error", m, err)
				}
			},
		},
		{
			"close",
			because("When Close of a membership has returned, the member was told to answer no more, and stays so. Further calls do nothing. What it would answer later, nobody would have told it of."),
			func(s *session, a provider.Announcer) {
				for _, strict := range []bool{true, false} {
					m := s.join(a, strict)
					s.leave(m)
					if m.mayAnswer() {
						s.errorf("the membership is closed, and the member may answer until then")
					}
					s.pause()
					if m.mayAnswer() {
						s.errorf("the membership is closed, and the member was told afterwards that it may answer")
					}
					if m.membership.Stats().Valid {
						s.errorf("the statistics of a membership that is closed say that the member may answer")
					}
					s.leave(m)
				}
			},
		},
	}
}

// leave closes the membership of m.
func (s *session) leave(m *member) {
	s.t.Helper()
	if err := m.membership.Close(); err != nil {
		s.errorf("Close of a membership: unexpected error: %v", err)
	}
}
