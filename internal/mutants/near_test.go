package mutants

// nearMutants are those of the memory in front of a shared store.
func nearMutants() []mutant {
	return []mutant{
		{
			"what a message has overtaken is not put into the memory", "G2", "fence.go",
			"if f.at(key) != p {", "if false {",
			"TestHoleN1FillOvertaken",
		},
		{
			"the position is taken before the request is sent", "G2", "read.go",
			"results, err := s.far.GetTTL(ctx, keys)", "results, err := s.far.GetTTL(ctx, keys)\n\tfor i, key := range keys {\n\t\tpositions[i] = s.fence.at(key)\n\t}",
			"TestHoleN1FillOvertaken",
		},
		{
			"a prefix moves the fence of all keys", "G2", "fence.go",
			"if len(removed.Prefixes) > 0 {", "if false {",
			"TestHoleN9Prefix",
		},
		{
			"a loss moves the fence", "G2", "listener.go",
			"s.fence.moveAll()", "",
			"TestHoleN3FillAcrossALoss",
		},
		{
			"a loss empties the memory", "G1", "listener.go",
			"s.memory.Clear()", "",
			"TestHoleN3NotHeard",
		},
		{
			"a message drops keys", "G1", "listener.go",
			"s.memory.Delete(ctx, removed.Keys...)", "s.memory.Delete(ctx)",
			"TestOneProcess",
		},
		{
			"the memory answers for a limited time", "G1", "listener.go",
			"l.memory.ServeUntil(t)", "l.memory.ServeUntil(t.Add(1000 * time.Hour))",
			"TestHoleN12CutOff",
		},
		{
			"an entry is dropped that another process has replaced", "–", "lease.go",
			"if !found || !near.LoadedAt.Equal(g.Entry.LoadedAt) {", "if !found || near.LoadedAt.IsZero() {",
			"TestReplacedElsewhere",
		},
		{
			"what is replaced is announced", "–", "lease.go",
			"case replaces[i] || isRefusal(filled[i].Err):", "case isRefusal(filled[i].Err):",
			"TestRefreshIsTold",
		},
		{
			"the memory does not answer with what is due", "–", "read.go",
			"\tcase !isFresh(&entry):", "\tcase false:",
			"TestGetNearIsFresh",
		},
		{
			"an entry lives no longer than in the shared store", "G1", "read.go",
			"ends := sent.Add(min(s.ttl, r.TTL))", "ends := sent.Add(s.ttl)",
			"TestLifeIsNotLonger",
		},
		{
			"a scope stays out of the memory", "–", "read.go",
			"if left <= 0 || (*s.keptOut.Load())[key.Scope] {", "if left <= 0 {",
			"TestFarOnly",
		},
	}
}

// membershipMutants are those of the protocol between processes with near caches.
func membershipMutants() []mutant {
	return []mutant{
		{
			"a gap in the messages is a loss", "G1", "state.go",
			"s.seen = seq\n\t\treturn dropAll", "s.seen = seq\n\t\treturn pass",
			"TestHoleN3Gap",
		},
		{
			"a beat with a later number is a loss", "G1", "state.go",
			"case s.epoch == epoch && seq == s.seen:", "case s.epoch == epoch && seq >= s.seen:",
			"TestHoleN3NotHeard",
		},
		{
			"an epoch that a member does not know is a loss", "G1", "state.go",
			"*s = state{}\n\t\treturn outOfStep", "return pass",
			"TestHoleN5EpochByMessage",
		},
		{
			"the deadline counts from before the beat was sent", "G1", "member.go",
			"until := sentAt.Add(m.span); until.After(m.deadline)", "until := sentAt.Add(m.span + m.span); until.After(m.deadline)",
			"TestHoleN12CutOff",
		},
		{
			"only a beat that has renewed a strict member moves its deadline", "G1", "member.go",
			"if m.strict && !message.Renewed {", "if false {",
			"TestHoleN7ProbeIsNoLease",
		},
		{
			"who hears nothing does not renew", "–", "member.go",
			"heard := m.number > 0 && m.back == m.number", "heard := true",
			"TestHoleN8SilentSubscription",
		},
		{
			"an acknowledgement comes after the drop", "G1", "member.go",
			"\tif message.Sender != m.id {\n\t\tm.listener.Removed(message.Removed)\n\t}", "\tif message.Sender != m.id {\n\t\tdefer m.listener.Removed(message.Removed)\n\t\tgo m.listener.Removed(message.Removed)\n\t}\n\tif message.Sender != m.id {\n\t\tm.mu.Lock()\n\t\tm.state.message(message.Epoch, message.Seq)\n\t\tm.mu.Unlock()\n\t\tnotify(m.toAck)\n\t}",
			"TestHoleN4AckAfterTheDrop",
		},
		{
			"a member that closes stops to answer first", "G1", "member.go",
			"m.closed = true\n\tm.serveUntilLocked(time.Time{})", "m.closed = true",
			"TestHoleN13CloseStopsFirst",
		},
		{
			"a strict member is waited for", "G1", "channel.go",
			"if m.Acked < roll.Seq && (own == nil || m.ID != own.id) {", "if m.Acked < 0 && (own == nil || m.ID != own.id) {",
			"TestHoleN3NotHeard",
		},
		{
			"an acknowledgement of an older number does not count", "G1", "channel.go",
			"!there || m.Acked >= w.roll.Seq {", "!there || m.Acked > 0 {",
			"TestHoleN4AckOfAnotherRound",
		},
		{
			"a look from before the announcement does not count", "G1", "channel.go",
			" || roll.Seq < w.roll.Seq {", " {",
			"TestHoleN7OldLook",
		},
		{
			"a removal in a new epoch waits for the members of the old one", "G1", "channel.go",
			"if rest := c.lease - roll.Age; rest > 0 {", "if rest := c.lease - roll.Age; rest > time.Hour {",
			"TestHoleN5NewServer",
		},
		{
			"who does not acknowledge is taken out of the record", "–", "channel.go",
			"if err := w.channel.server.Remove(ctx, m.ID, w.roll.Epoch, m.Stamp); err != nil {", "if m.Stamp < 0 {",
			"TestHoleN8DeadMember",
		},
		{
			"who was renewed stays in the record", "G1", "channel.go",
			"if err := w.channel.server.Remove(ctx, m.ID, w.roll.Epoch, m.Stamp); err != nil {", "if err := w.channel.server.Remove(ctx, m.ID, \"\", 0); err != nil {",
			"TestHoleN8RenewedMeanwhile",
		},
		{
			"the lease of who is not renewed counts from its first listing", "G5", "channel.go",
			"l.epoch == roll.Epoch && l.stamp == m.Stamp && l.since.Before(at)", "false",
			"TestUnacknowledged",
		},
		{
			"a process drops by itself what it removes", "G1", "channel.go",
			"m.tell(removed)", "_ = m",
			"TestHoleN2OwnProcess",
		},
		{
			"a process does not drop again what it has removed itself", "–", "member.go",
			"if message.Sender != m.id {", "if true {",
			"TestOwnMessage",
		},
	}
}

// channelMutants are those whose tests are beside the code.
func channelMutants() []mutant {
	return []mutant{
		{
			"stamps of another epoch say nothing", "G1", "channel.go",
			"l.epoch == roll.Epoch && l.stamp", "l.stamp",
			"TestStampsOfAnotherEpoch",
		},
		{
			"a look ends with the channel", "G9", "channel.go",
			"context.WithTimeout(c.ctx, c.lease)", "context.WithTimeout(context.WithoutCancel(c.ctx), c.lease)",
			"TestCloseEndsTheLook",
		},
	}
}
