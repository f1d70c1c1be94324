package mutants

// cacheMutants are those of the root package.
func cacheMutants() []mutant {
	return []mutant{
		// What one process does without the store's help.
		{
			"epoch of the flight, asked before its fill", "G2", "epoch.go",
			"if f.ended || f.phase != phaseLoading {", "if f.phase != phaseLoading {",
			"TestLateFillIsRefused",
		},
		{
			"epoch of the flight, asked before a reader joins", "G1", "epoch.go",
			"return !f.ended && f.phase != phaseSettled", "return f.phase != phaseSettled",
			"TestFenceAgainstTwin",
		},
		{
			"invalidations end epochs", "G1 G2", "epoch.go",
			"return fence{phase: f.phase, ended: true}, f.phase == phaseFilling", "return f, f.phase == phaseFilling",
			"TestLateFillIsRefused",
		},
		{
			"epochs end before the removal", "G1 G2", "singleflight.go",
			"if g.endLocked(f) {", "if f.fence.phase == phaseFilling {",
			"TestLoadThatEndsDuringTheInvalidationDoesNotFill",
		},
		{
			"epochs end once more after the removal", "G1", "singleflight.go",
			"g.eachLocked(confirmed, func(f *flight) { g.endLocked(f) })", "",
			"TestFlightThatFoundTheOldValueDuringInvalidationIsNotJoinedAfterwards",
		},
		{
			"epochs end after a removal that failed, too", "G1 G5", "singleflight.go",
			"g.eachLocked(failed, func(f *flight) { g.endLocked(f) })", "",
			"TestFlightThatFoundTheOldEntry",
		},
		{
			"flights under a prefix are covered by it", "G1 G2", "singleflight.go",
			"if targets.coverByPrefix(key) {", "if targets.coverByPrefix(key) && false {",
			"TestHistory/in_process",
		},
		{
			"fills under way are waited for", "G2", "invalidate.go",
			"s.flights.awaitLanding(c)", "_ = c",
			"TestInvalidationWaitsForAFillUnderWay",
		},
		{
			"a store in the process has returned when the load ends", "G5", "singleflight.go",
			"c.answered = r.purpose, g.inProcess", "c.answered = r.purpose, false",
			"TestInvalidationWaitsForAFillUnderWay",
		},
		{
			"no other store has returned before it says so", "G2 G5", "singleflight.go",
			"c.answered = r.purpose, g.inProcess", "c.answered = r.purpose, true",
			"TestStuckFill",
		},
		{
			"fills that do not return leave the invalidation pending", "G2 G5", "singleflight.go",
			"if f.fence.phase == phaseFilling && targets.cover(f.key)", "if f.fence.phase == phaseFilling && targets.cover(f.key) && false",
			"TestStuckFill",
		},
		{
			"abandoned flights are not stored", "G2", "wait.go",
			"\tfor _, f := range c.flights {\n\t\tg.endLocked(f)\n\t}", "",
			"TestCancelledLoadIsNotStored",
		},
		// Results have bounds.
		{
			"results have a bound", "G1", "epoch.go",
			"return began < bound", "return true",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"what is found is bounded by the moment of asking", "G1", "lease.go",
			"r.scope.flights.bind(flights) // what is found now was there after this moment", "",
			"TestFleet/slow",
		},
		{
			"what is loaded is bounded by the begin of the load", "G1", "singleflight.go",
			"\t\tif leases {\n\t\t\tf.bound = g.now\n\t\t}", "\t\tif leases {\n\t\t\tf.bound = unbounded\n\t\t}",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"a confirmed fill moves the bound to its sending", "G6", "singleflight.go",
			"f.bound = sent", "f.bound = min(f.bound, sent)",
			"TestConfirmedFillServesAllJoiners",
		},
		{
			"nobody joins a flight whose fill was sent, and its bound is the sending", "G1", "singleflight.go",
			"\t\tg.endLocked(f)\n\t\tif g.closed || c.abandoned || g.pending.covers(f.key) {\n\t\t\trest = append(rest, f)\n\t\t} else {\n\t\t\tstore = append(store, f)\n\t\t}\n\t}\n\treturn store, rest, g.now", "\t\tif g.closed || c.abandoned || g.pending.covers(f.key) {\n\t\t\trest = append(rest, f)\n\t\t} else {\n\t\t\tstore = append(store, f)\n\t\t}\n\t}\n\treturn store, rest, unbounded",
			"TestFleet/slow",
		},
		// Leases.
		{
			"a failed load releases its lease", "G6", "lease.go",
			"if rest = slices.Concat(rest, unwanted); len(rest) > 0 {", "if false {",
			"TestFailedLoadReleasesTheLease",
		},
		{
			"a fill that failed releases its lease", "G6", "lease.go",
			"\tif len(failed) > 0 {\n\t\tr.release(ctx, failed)\n\t}", "",
			"TestFillThatFailedForOneKeyGivesItsLeaseBack",
		},
		{
			"a lease granted to nobody is given back", "G6 G8", "lease.go",
			"if ctx.Err() != nil {", "if false {",
			"TestLeaseGrantedTooLateIsGivenBack",
		},
		{
			"waiting for a lease is bounded", "G4 G6", "lease.go",
			"if left <= 0 ||", "if left = longestPoll;",
			"TestLeaseWaitIsBounded",
		},
		{
			"leases of others are waited for", "G6", "lease.go",
			"for len(busy) > 0 {", "for false {",
			"TestOneLoadAcrossProcesses",
		},
		// What the store has not confirmed.
		{
			"a failed removal is pending", "G5", "singleflight.go",
			"g.pending.add(failed, version)", "",
			"TestFailedInvalidationIsPending",
		},
		{
			"a failed removal of keys is an error", "G5", "invalidate.go",
			"failed.Keys = slices.Clip(targets.Keys) // which are the caller's", "",
			"TestFailedInvalidationIsPending",
		},
		{
			"a failed removal of a prefix is an error", "G5", "invalidate.go",
			"failed.Prefixes = append(failed.Prefixes, prefix)\n", "\n",
			"TestPartOfTheTargetsFails",
		},
		{
			"what is pending is not read", "G1 G5", "singleflight.go",
			"if g.bypassing.Load() == 0 {", "if g.bypassing.Load() >= 0 {",
			"TestFailedInvalidationIsPending",
		},
		{
			"flights leave the store alone while their key is pending", "G1 G5", "singleflight.go",
			"return g.pending.covers(key) || g.lagging.covers(key)", "return g.lagging.covers(key)",
			"TestFailedInvalidationIsPending",
		},
		{
			"nothing is filled while its key is pending", "G2 G5", "singleflight.go",
			"g.closed || c.abandoned || g.pending.covers(f.key)", "g.closed || c.abandoned",
			"TestPendingKeyIsNotFilledUnderALease",
		},
		{
			"a confirmation covers no later invalidation", "G5", "pending.go",
			"if v, ok := p.keys[key]; ok && v <= version {", "if v, ok := p.keys[key]; ok && v > 0 {",
			"TestNewerInvalidationDuringARetry",
		},
		{
			"versions of what is pending only grow", "G5", "pending.go",
			"(*m)[name] = max((*m)[name], version)", "(*m)[name] = version",
			"TestPendingVersionIsNotTakenBack",
		},
		{
			"what is pending is retried", "G5", "invalidate.go",
			"s.retryPending(ctx)", "",
			"TestFailedInvalidationIsPending",
		},
		{
			"retries come before reads", "G5", "backend.go",
			"b.breaker.allow(b.pending.Load() == 0)", "b.breaker.allow(true)",
			"TestRetriesComeBeforeReads",
		},
		{
			"an invalidation outlives its context", "G5", "invalidate.go",
			"return s.invalidate(context.WithoutCancel(ctx), targets)", "return s.invalidate(ctx, targets)",
			"TestInvalidateIgnoresTheEndOfItsContext",
		},
		{
			"what is pending is bounded", "G9", "pending.go",
			"if p.size() > p.limit || len(p.prefixes) > maxPendingPrefixes {", "if false {",
			"TestPendingCollapses",
		},
		// Writes.
		{
			"a hold is placed before the write", "G1 G2", "mutate.go",
			"token, err := s.hold(ctx, m.Hold, m.HoldFor)", "token, err := \"\", error(nil)",
			"TestHoldSurvivesTheWriter",
		},
		{
			"what cannot be held is not written", "G1 G2", "hold.go",
			"\t\treturn \"\", fmt.Errorf(\"%w: scope %q: %w\", ErrNotHeld, s.name, err)\n\t}\n\treturn token, nil", "\t}\n\treturn token, nil",
			"TestMutateDoesNotWriteWhatItCannotHold",
		},
		{
			"what was held is invalidated", "G1 G2", "mutate.go",
			"\treturn Targets{\n\t\tKeys:     slices.Concat(targets.Keys, m.Hold.Keys),\n\t\tPrefixes: slices.Concat(targets.Prefixes, m.Hold.Prefixes),\n\t}", "\treturn targets",
			"TestMutateInvalidatesWhatItHeld",
		},
		{
			"a put ends epochs once more after its fill", "G1", "put.go",
			"\t\tp.scope.flights.endOthers(f)\n", "",
			"TestFlightThatFoundTheOldValueDuringAPut",
		},
		{
			"a write that failed gives up its hold", "G6", "mutate.go",
			"\tif err != nil {\n\t\ts.unhold(ctx, m.Hold, token)", "\tif err != nil {",
			"TestFailedWriteGivesUpTheHold",
		},
		{
			"nothing is stored while the source may lag", "G2", "singleflight.go",
			"return g.pending.covers(key) || g.lagging.covers(key)", "return g.pending.covers(key)",
			"TestReplicaLag",
		},
		// One load.
		{
			"who missed before a flight landed asks again", "G6", "singleflight.go",
			"|| g.stored.Load() != r.stored", "",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		// A load belongs to its key.
		{
			"a load does not end with its reader's context", "G7", "singleflight.go",
			"context.WithCancelCause(&c.values)", "context.WithCancelCause(context.WithValue(ctx, callKey{}, c))",
			"TestLoadKeepsValuesAndDropsCancellation",
		},
		{
			"the last reader cancels the load", "G7", "wait.go",
			"\tif last {\n\t\tc.cancel(context.Canceled)\n\t}\n\tswitch {", "\tswitch {",
			"TestLastReaderOutCancelsTheLoad",
		},
		{
			"a result that is there wins over a context that has ended", "G7", "wait.go",
			"\tif c.loaded {\n\t\tg.mu.Unlock()\n\t\treturn nil\n\t}\n\tc.waiters--", "\tc.waiters--",
			"TestResultThatIsThereWinsOverAnEndedContext",
		},
		// Outcomes are whole.
		{
			"a panic of a load reaches its readers", "G8", "load.go",
			"err = &PanicError{Value: p, Stack: stack()}", "panic(p)",
			"TestFailureReachesEveryReaderOnce",
		},
		{
			"a load that does not return fails", "G8", "load.go",
			"\tif !r.returned {", "\tif false {",
			"TestFailureReachesEveryReaderOnce",
		},
		// The store does not fail reads.
		{
			"calls of the store have a deadline", "G4", "backend.go",
			"bounded, cancel := context.WithTimeout(ctx, bound)", "bounded, cancel := context.WithTimeout(ctx, bound+24*time.Hour)",
			"TestHangingStoreCostsAFewTimeouts",
		},
		{
			"a store that fails is left alone", "G4", "breaker.go",
			"b.open.Store(true)", "",
			"TestBreakerAgainstTwin",
		},
		{
			"a caller with too little time tells nothing about the store", "G4", "backend.go",
			"v == storeFailed && !telling", "v == storeFailed && false",
			"TestPunctualStoreAndImpatientCallers",
		},
		{
			"the deadline of a connection is that of its caller", "G4", "backend.go",
			"(bounded.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded))", "bounded.Err() != nil",
			"TestPunctualStoreAndImpatientCallers/of_the_connection",
		},
		{
			"what is reported of a key is a copy", "G10", "scope.go",
			"s.reportGet(ctx, strings.Clone(key), err)", "s.reportGet(ctx, key, err)",
			"TestMemoizeAppendReportsKeys",
		},
		{
			"a key that is observed is a copy", "G10", "memoizeappend.go",
			"k = strings.Clone(k)", "_ = strings.Clone",
			"TestMemoizeAppendIsMemoize",
		},
		{
			"a key that is loaded is a copy", "G10", "memoizeappend.go",
			"k = string(b.key)", "_ = k",
			"TestMemoizeAppendStoresKeys",
		},
		{
			"a load that was cancelled gives its lease back all the same", "G6 G7", "lease.go",
			"ctx := &r.call.values", "ctx := r.call.ctx",
			"TestFailedLoadReleasesTheLease/abandoned",
		},
		{
			"a fill that panics in the process is an error", "G4", "backend.go",
			"\tdefer recoverStore(&err)\n\treturn b.store.Set(", "\treturn b.store.Set(",
			"TestFillThatDoesNotReturnNormally",
		},
		{
			"values that panic are an error", "G4", "backend.go",
			"\tdefer recoverStore(&err)\n\tb.values.GetValues(", "\tb.values.GetValues(",
			"TestGetValuesThatPanics",
		},
		{
			"a fill that ends its goroutine is over", "G5 G8", "backend.go",
			"\t\tdefer filler.answered()\n\t\treturn struct{}{}, b.setNow(ctx, items)", "\t\terr := b.setNow(ctx, items)\n\t\tfiller.answered()\n\t\treturn struct{}{}, err",
			"TestFillThatDoesNotReturnNormally",
		},
		{
			"a panic of the store is an error", "G4", "backend.go",
			"*err = fmt.Errorf(\"readthrough: the store panicked: %w\", &PanicError{Value: r, Stack: stack()})", "panic(r)",
			"TestOutageNeverFailsARead",
		},
		{
			"a value of another type is a miss", "G4", "wrap.go",
			"return value, fmt.Errorf(\"%w: the entry holds a %T, not a %v\", ErrTypeMismatch, stored, reflect.TypeFor[T]())", "return value, nil",
			"TestStoredValueOfAnotherType",
		},
		// Bounded, closed, bad input.
		{
			"calls that the store does not answer are bounded", "G9", "backend.go",
			"return b.abandoned.Load() >= maxAbandoned", "return false",
			"TestAbandonedCallsAreBounded",
		},
		{
			"Close cancels loads", "G9", "singleflight.go",
			"\t\tc.cancel(ErrClosed)", "\t\t_ = c",
			"TestCloseCancelsDetachedLoads",
		},
		{
			"Close waits for its goroutines", "G9", "cache.go",
			"\tc.background.Wait()\n", "",
			"TestCloseWaitsForRetries",
		},
		{
			"flights that landed leave nothing", "G9", "singleflight.go",
			"\t\tf.fence = f.fence.settle()\n\t\tg.removeLocked(f)", "\t\tf.fence = f.fence.settle()",
			"TestFailuresLeaveNothing",
		},
		{
			"keys are checked", "G10", "scope.go",
			"if key == \"\" {", "if false {",
			"TestBadKeysAndFunctions",
		},
	}
}
