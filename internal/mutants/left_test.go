package mutants

// leftMutants are those of loads that everybody has left, of loads for one reader alone, and of what
// happens when functions of the user fail.
func leftMutants() []mutant {
	return []mutant{
		// Loads that everybody has left.
		{
			"a reader waits for the end of a load that everybody has left", "G6", "singleflight.go",
			"i.flight = g.endingOfLocked(i.key)", "i.flight = nil",
			"TestOneLoadThoughItsReadersHaveLeft",
		},
		{
			"no load in the background begins beside one that was left", "G6", "singleflight.go",
			"|| g.endingOfLocked(i.key) != nil ||", "||",
			"TestRefreshBesideALoadThatIsLeft",
		},
		{
			"a load that was left and hangs does not keep others from refreshing", "G9", "leave.go",
			"if f != nil && !time.Now().Before(f.call.endsBy) {", "if false {",
			"TestRefreshBesideALoadThatIsLeft",
		},
		{
			"an invalidation forgets loads that were left", "G1", "invalidation.go",
			"\t\tdelete(g.ending, key)\n", "\t\t_ = key\n",
			"TestLoadThatIsLeftHarmsNobody",
		},
		{
			"an invalidation by prefix forgets loads that were left", "G1", "invalidation.go",
			"bool { return targets.coverByPrefix(key) })\n", "bool { return false })\n",
			"TestLoadThatIsLeftHarmsNobody",
		},
		{
			"nobody waits for a load from before an invalidation", "G1", "leave.go",
			"if running && !f.fence.ended && !f.bypass {", "if running && !f.bypass {",
			"TestLoadThatIsLeftHarmsNobody",
		},
		{
			"a put forgets loads that were left", "G1", "fence.go",
			"\tdelete(g.ending, f.key)\n", "",
			"TestPutAndALoadThatIsLeft",
		},
		{
			"the error of a load that was left is for nobody else", "G8", "fence.go",
			"(f.outcome.failed() || f.outcome.entry.Absent) && f.call.wasLeft()", "f.outcome.entry.Absent && f.call.wasLeft()",
			"TestLoadThatIsLeftHarmsNobody",
		},
		{
			"the absence of a load that was left is for nobody else", "G7", "fence.go",
			"(f.outcome.failed() || f.outcome.entry.Absent) && f.call.wasLeft()", "f.outcome.failed() && f.call.wasLeft()",
			"TestLoadThatIsLeftBringsNoAbsence",
		},
		{
			"LoadTimeout bounds the wait for a load that was left", "G8", "leave.go",
			"if c.endsBy, bounded = c.ctx.Deadline(); !bounded {", "if bounded = false; !bounded {",
			"TestLoadThatIsLeftHarmsNobody",
		},
		{
			"the wait for a load that was left is bounded", "G8", "leave.go",
			"c.endsBy = time.Now().Add(backgroundTimeout)", "c.endsBy = time.Now().Add(24 * time.Hour)",
			"TestLoadThatIsLeftAndHangs",
		},
		{
			"Close ends the wait for a load that was left", "G9", "leave.go",
			"case <-c.scope.closing:", "case <-(chan struct{})(nil):",
			"TestCloseWhileALoadIsEnding",
		},
		{
			"a reader with a stale value does not wait for a load that was left", "G4", "leave.go",
			"time.NewTimer(g.options.SoftLoadTimeout)", "time.NewTimer(time.Hour)",
			"TestFallbackBesideALoadThatIsLeft",
		},
		{
			"that others have left is no error of a reader", "G7", "leave.go",
			"case cause != nil && cause != context.Canceled:", "case cause != nil:",
			"TestFallbackBesideALoadThatIsLeft",
		},
		{
			"a load that was left and has ended is forgotten", "G9", "singleflight.go",
			"\tg.forgetEndingLocked(c)\n", "",
			"TestBulkReaderLeavesSeveralCalls",
		},
		{
			"a load that no reader waits for is bounded", "G8", "leave.go",
			"if !c.detached && options.LoadTimeout == 0 && c.bound == nil {", "if false {",
			"TestBackgroundLoadThatHangsIsBounded",
		},
		// Loads for one reader.
		{
			"what a load does not want stored is for its reader only", "G7", "read.go",
			"if left == nil && r.isForOthers(i) {", "if false {",
			"TestDoNotStoreKeepsJoinersAway",
		},
		{
			"the failure of a load alone is not remembered", "G1", "singleflight.go",
			"f.fence.ended = i.key, c, i.index, i.alone", "f.fence.ended = i.key, c, i.index, false",
			"TestFailureOfALoadAloneFromBeforeAnInvalidation",
		},
		{
			"a reader beside a put does not wait for its lease", "G6", "singleflight.go",
			" || purpose != toPut && g.puttingLocked(i.key)", "",
			"TestReadsDuringAPutDoNotWait",
		},
		{
			"Refresh takes the failure of its own call", "G8", "fence.go",
			"&& f.call != r.own {", "{",
			"TestRefreshThatEndsBeforeItsLoad",
		},
		{
			"what a second look reports is told after the landing", "G8", "call.go",
			"}, c.reportGet)", "}, c.scope.reportGet)",
			"TestOnErrorOfASecondLookReadsTheKey",
		},
		// Writes that fail.
		{
			"a write that may have happened invalidates", "G1", "mutate.go",
			"\t\treturn result, joinErrors(err, bad, joinErrors(r.settle(stale)...))\n", "\t\t_ = stale\n\t\treturn result, joinErrors(err, bad)\n",
			"TestMutateFailedWrite",
		},
		{
			"a write that panics invalidates", "G1", "mutate.go",
			"\tdefer run.ensure()\n", "",
			"TestMutateFailedWrite",
		},
		{
			"an Invalidate that panics invalidates what was known", "G1", "mutate.go",
			"\tdefer run.ensure()\n", "",
			"TestMutateWhenInvalidateFails",
		},
		{
			"bad targets do not hide what was known", "G1", "mutate.go",
			"stale, _ = r.shares(r.m.known())", "_ = bad",
			"TestMutateWhenInvalidateFails",
		},
		{
			"a write that changed nothing invalidates nothing", "G6", "mutate.go",
			"case errors.Is(err, ErrUnchanged):", "case false:",
			"TestMutateFailedWrite",
		},
		{
			"an Invalidate that panics on no result is reported", "G8", "mutate.go",
			"if r := recover(); r != nil {", "if r := any(nil); r != nil {",
			"TestMutateFailedWrite",
		},
		{
			"a put whose write has failed invalidates", "G1", "put.go",
			"return none, joinErrors(err, s.Invalidate(p.ctx, key))", "return none, err",
			"TestPutInvalidatesAfterAWriteThatFails",
		},
		{
			"a put that changed nothing invalidates nothing", "G6", "put.go",
			"\tcase unchanged:", "\tcase unchanged && false:",
			"TestPutInvalidatesAfterAWriteThatFails",
		},
		// Functions of the user, and stores, that do not return.
		{
			"OnError ends nothing but itself", "G5 G8", "keyspace.go",
			"_ = apart(over, func() { e.onError(err) })", "e.onError(err)",
			"TestCallbacks/plain/OnError/panic",
		},
		{
			"the observer ends nothing but itself", "G5 G8", "keyspace.go",
			"err := apart(over, func() {\n", "err := func(f func()) error { f(); return nil }(func() {\n",
			"TestFailureOfTheObserverIsReported",
		},
		{
			"Observer.Error ends nothing but itself", "G5 G8", "keyspace.go",
			"s.observerFailed(over, err.Key, apart(over, func() { s.observer.Error(ctx, err) }))", "s.observer.Error(ctx, err)",
			"TestCallbacks/plain/Error/panic",
		},
		{
			"the retries do not wait for who waits for Close", "G8 G9", "retries.go",
			"if s.retryOnce(ctx, s.closing); s", "if s.retryOnce(ctx, nil); s",
			"TestCallbacks/plain/Recovered/Close",
		},
		{
			"another loop of retries follows one that was ended", "G5", "retries.go",
			"\t\tif !ended {\n\t\t\ts.retryLater", "\t\tif !ended && false {\n\t\t\ts.retryLater",
			"TestGoexitOfAStoreThatIsCalledDirectly",
		},
		{
			"what a store has not removed before it ended its caller is pending", "G5", "invalidation.go",
			"\tr.failed = targets\n\tvar stuck", "\tvar stuck",
			"TestGoexitOfAStoreThatIsCalledDirectly",
		},
		{
			"an invalidation does not wait for ever for a fill that waits for it", "G8", "leave.go",
			"\t\tcase <-timer.C:\n\t\t\treturn\n", "\t\tcase <-make(chan struct{}):\n\t\t\treturn\n",
			"TestCallbacks/memory/weigher/Invalidate",
		},
		{
			"a reader that ends leaves its loads", "G7", "read.go",
			"\t\tif !waited {", "\t\tif !waited && false {",
			"TestReaderThatEndsLeavesTheLoad",
		},
		{
			"leases that nobody has used up are given back", "G6 G8", "call.go",
			"return f.lease != nil && !f.spent })", "return false })",
			"TestCallbacks/shared/marshal/Goexit",
		},
		{
			"readers wake, though the end of the load was ended", "G8", "call.go",
			"\tdefer c.scope.flights.land(c)\n\tdefer c.settle()\n\tdefer c.end()\n", "\tdefer func() {\n\t\tc.end()\n\t\tc.settle()\n\t\tc.scope.flights.land(c)\n\t}()\n",
			"TestGoexitAtTheEndOfALoad",
		},
		{
			"a put that was ended is whole", "G8", "put.go",
			"\t\tif !whole {", "\t\tif !whole && false {",
			"TestCallbacks/shared/put/Goexit",
		},
		// Fences that no other test defends.
		{
			"the retries look a second time before they end", "G5", "retries.go",
			"return s.flights.bypassing.Load() == 0 || !s.retrying.CompareAndSwap(false, true)", "return true",
			"TestRetriesLookASecondTime",
		},
		{
			"a hold outlasts the invalidation", "G1 G2", "invalidation.go",
			"ttl := min(holdFor, provider.NoExpiry-margin) + margin", "ttl := holdFor + 0*margin",
			"TestHoldOutlastsTheInvalidation",
		},
		{
			"a hold that was not confirmed is given up", "G6", "invalidation.go",
			"\t\ts.unhold(ctx, targets, token)\n", "",
			"TestHoldThatWasNotConfirmedIsGivenUp",
		},
		{
			"what is stuck is asked before the removal", "G2 G5", "invalidation.go",
			"\tstuck = s.awaitFills(targets, begun)\n\tr = remove(ctx, targets)\n",
			"\tr = remove(ctx, targets)\n\tstuck = s.awaitFills(targets, begun)\n",
			"TestStuckFillThatStoresAfterTheRemoval",
		},
		{
			"a store that is left behind has lists of its own", "G2 G5", "invalidation.go",
			"Keys: slices.Clone(targets.Keys), Prefixes: slices.Clone(targets.Prefixes)}", "Keys: targets.Keys, Prefixes: targets.Prefixes}",
			"TestStoreThatIsLeftBehindHasItsOwnLists",
		},
		{
			"ids that cannot be compared deep inside are found", "G10", "value.go",
			"\t\t\tif hasInterface(field.Type) {", "\t\t\tif field.Type == nil {",
			"TestIDsThatCannotBeCompared",
		},
		{
			"ids that cannot be compared are refused by Each", "G10", "each.go",
			"\t\tif err := checkIDs(ids); err != nil {", "\t\tif err := error(nil); err != nil {",
			"TestIDsThatCannotBeCompared",
		},
		// What is logged.
		{
			"keys are logged only if that is wanted", "G9", "onerror.go",
			"\tif l.keys {", "\tif true {",
			"TestLogSaysNoSecrets",
		},
		{
			"an error that names the key is logged without it", "G9", "logtext.go",
			"\tif len(key) >= leastMasked {\n\t\ttext = strings.ReplaceAll(text, key, \"the key\")\n\t}\n", "",
			"TestLogSaysNoSecrets",
		},
		{
			"what errors hide is not logged", "G9", "logtext.go",
			"text = strings.ReplaceAll(text, err.Error(), hides.LogValue().Resolve().String())", "_ = hides",
			"TestLogSaysNoSecrets",
		},
		{
			"lines of the log are bounded", "G9", "logtext.go",
			"return clipTo(text, mostLogged)", "return text",
			"TestLogSaysNoSecrets",
		},
		// Loads that fail in part.
		{
			"an id that fails, fails alone", "G8", "wrapmany.go",
			"} else if each != nil {", "} else if false {",
			"TestEachFailure",
		},
		{
			"an id is absent only if a load has said so", "G1", "each.go",
			"\treturn outcome{known: absent, entry: provider.Entry{Absent: absent}}", "\t_ = absent\n\treturn outcome{known: true, entry: provider.Entry{Absent: true}}",
			"TestEachInParts",
		},
		{
			"an id that panics, fails alone", "G8", "each.go",
			"err = panicError(r)", "panic(r)",
			"TestEachFailure",
		},
		{
			"an id that ends its goroutine has failed", "G8", "each.go",
			"err := ErrGoexit", "err := error(nil)",
			"TestEachFailure",
		},
		{
			"an error that a load panics with may panic when it is asked", "G8", "errors.go",
			"return backend.Sane(err)", "return err",
			"TestErrorOfALoadThatPanics",
		},
		// What the store keeps.
		{
			"what is over removes what it replaces", "G1", "fill.go",
			"return removeEntry, 0", "return storeNothing, 0",
			"TestTTLThatIsOver",
		},
		{
			"what is over is not stored", "G1", "fill.go",
			"case ttl > 0:", "case true:",
			"TestTTLThatIsOver",
		},
		{
			"an absence is served while the source fails", "G4", "read.go",
			"if i.replaces.absent {", "if false {",
			"TestAbsenceSurvivesAnOutage",
		},
		{
			"what another process keeps for longer is replaced", "G6", "lease.go",
			"!force && !replaces &&", "!force && (!replaces || true) &&",
			"TestEntryThatAnotherProcessKeepsIsReplaced",
		},
		{
			"a retry ends no loads", "G6", "invalidation.go",
			"if !begun.retry {", "if true {",
			"TestRetriesStartNoLoads",
		},
		{
			"a read that is used again has forgotten the one before", "G1", "wrap.go",
			"\t*o = one[T]{}\n", "\to.loadOne = nil\n",
			"TestAbsenceSurvivesAnOutage",
		},
		{
			"the context of a load that has ended is none of a load", "G8", "flight.go",
			"ok && !c.final.Load() {", "ok {",
			"TestContextOfAnEndedLoadClosesNoCircle",
		},
		{
			"a failure is known when its flight is gone", "G8", "singleflight.go",
			"\tg.learnLocked(c)\n\tg.retireLocked(c)\n", "\tg.retireLocked(c)\n\tg.mu.Unlock()\n\tg.mu.Lock()\n\tg.learnLocked(c)\n",
			"TestFailureIsKnownWhenItsFlightIsGone",
		},
		{
			"outcomes that may change are read under the lock", "G1 G8", "fence.go",
			"if len(r.items) > 1 || !r.items[0].flight.call.final.Load() {", "if len(r.items) > 1 {",
			"TestOutcomesThatMayChangeAreReadUnderTheLock",
		},
		{
			"outcomes of several calls are read under the lock", "G1 G8", "fence.go",
			"if len(r.items) > 1 || !r.items[0].flight.call.final.Load() {", "if !r.items[0].flight.call.final.Load() {",
			"TestOutcomesThatMayChangeAreReadUnderTheLock",
		},
		{
			"a load that is finished goes on, though its reader is ended", "G6", "leave.go",
			"\t\tif c.cause() == nil {\n\t\t\tg.finishLocked(c)\n\t\t}\n", "",
			"TestLoadIsFinishedThoughItsReaderIsEnded",
		},
		{
			"an emission that fails keeps no other from being made", "G5", "batch.go",
			"\t\t\temitAll(emits[next:])\n", "",
			"TestBatchWhoseEmissionFails",
		},
		{
			"after Close nothing is emitted", "G1", "batch.go",
			"if errors.Is(joinErrors(errs[1:]...), ErrClosed) {", "if false {",
			"TestBatchAfterClose",
		},
		{
			"a reader of another type has a place of MaxLoads", "G7", "singleflight.go",
			"if g.slots.Limit > 0 {", "if g.slots.Limit > 0 && !items[0].alone {",
			"TestReaderOfAnotherTypeLoadsLikeOthers",
		},
		{
			"a reader that began during a load does not take what lags", "G1", "fence.go",
			"if leases || f.lags {", "if leases {",
			"TestReplicaLagAndReadersThatJoin",
		},
	}
}

// counterMutants are those of the counters of hits.
func counterMutants() []mutant {
	return []mutant{
		{
			"a counter is small until goroutines have often met on it", "G9", "counter.go",
			"c.met.Add(1) == tolerated", "c.met.Add(1) == 1",
			"TestCells",
		},
		{
			"what was counted before there were cells counts", "G9", "counter.go",
			"sum := c.first.Load()", "sum := int64(0)",
			"TestCells",
		},
	}
}

// breakerMutants are those of the breakers, with the tests beside them.
func breakerMutants() []mutant {
	return []mutant{
		{
			"what a shard has not answered is no confirmation", "G1 G5", "shards.go",
			"if returned.Load() < int64(len(groups)) {", "if false {",
			"TestGoexitInAShard",
		},
		{
			"a part of a hold says what the hold says", "G9", "lease.go",
			"part := targets\n\t\t\tpart.Prefixes = nil", "part := provider.HoldTargets{Scope: targets.Scope}",
			"TestHoldIsGivenUpAsItWasPlaced",
		},
		{
			"a store that is not punctual is not called by the reader", "G4", "punctual.go",
			"		b.punctual.Store(false)\n", "",
			"TestStoreThatIsNotPunctual",
		},
		// Shards.
		{
			"each shard has a breaker of its own", "G4", "shards.go",
			"return &b.shards.all[n].breaker, &b.shards.all[n].refusals", "return &b.shards.all[0].breaker, &b.shards.all[0].refusals",
			"TestShardThatIsDown",
		},
		{
			"a bulk request that fails in part is split", "G4", "shards.go",
			"	for i := range n {\n		if e := err(i); e != nil && !OfEntry(e) {\n			b.shards.doubt()\n			return\n		}\n	}\n", "",
			"TestBulkOfShards",
		},
		{
			"a request that fails has others be split", "G4", "shards.go",
			"if b.shards != nil && v != storeAnswered && v != storeUnknown {", "if false {",
			"TestRemovalsOfShards",
		},
		{
			"a hold needs the shards of its targets only", "G4", "shards.go",
			"if len(targets.Prefixes) > 0 {\n\t\treturn b.everywhere(k)\n\t}\n\tdoes := anywhere(k)", "if true {\n\t\treturn b.everywhere(k)\n\t}\n\tdoes := anywhere(k)",
			"TestHoldsOfShards",
		},
		{
			"a hold finds out that a shard is back", "G4", "shards.go",
			"\t\tcase v == storeAnswered, v == storeUnknown:\n", "\t\tcase v == storeUnknown:\n",
			"TestHoldsOfShards",
		},
		{
			"a hold that is not made is no probe", "G4", "backend.go",
			"does.each = does.each[:i]", "does.each = does.each[:i*0]",
			"TestHoldThatIsNotMadeIsNoProbe",
		},
		{
			"a hold that is not whole is no probe", "G4", "lease.go",
			"\t\t\tb.record(b.demandOfHold(writes, &targets), storeUnknown)\n", "",
			"TestHoldThatIsNotMadeIsNoProbe",
		},
		{
			"an invalidation that holds leaves alone what is down", "G4", "lease.go",
			"if b.Saturated() || !insist && b.shards != nil && b.openFor(does) {", "if b.Saturated() {",
			"TestLaggingHoldsOfShards",
		},
		{
			"a retry holds what is down", "G5", "lease.go",
			"if b.Saturated() || !insist && b.shards != nil && b.openFor(does) {", "if b.Saturated() || b.shards != nil && b.openFor(does) {",
			"TestLaggingHoldsOfShards",
		},
		{
			"an inspection of a shard is a probe that ends", "G4", "store.go",
			"return ask(ctx, b, does, b.DeleteTimeout, call)", "return ask(ctx, b, anywhere(reads), b.DeleteTimeout, call)",
			"TestInspectionOfAShardIsAProbe",
		},
		{
			"fills of shards that are well are stored", "G4", "store.go",
			"if b.splits(len(items)) {", "if false {",
			"TestWritesOfShards",
		},
		{
			"a removal leaves alone what is down", "G4", "store.go",
			"if b.Saturated() || !insist && b.shards != nil && b.openFor(does) {", "if b.Saturated() {",
			"TestRemovalsOfShards",
		},
		{
			"a retry asks what is down", "G5", "store.go",
			"if b.Saturated() || !insist && b.shards != nil && b.openFor(does) {", "if b.Saturated() || b.shards != nil && b.openFor(does) {",
			"TestRemovalsOfShards",
		},
		{
			"a shard is probed while something is pending in another", "G4", "backend.go",
			"mayProbe := b.Pending.Load() == 0 || b.shards != nil", "mayProbe := b.Pending.Load() == 0",
			"TestShardThatIsDown",
		},
		// Bulk calls in parts.
		{
			"a part that was cut off makes the next one smaller", "G4", "parts.go",
			"case late && n > 1:", "case false:",
			"TestPartsThatAreCutOffGetSmaller",
		},
		{
			"a store that hangs ends a bulk call", "G4", "parts.go",
			"if late++; late >= lateParts {", "if late++; false {",
			"TestStoreThatHangsEndsABulkCall",
		},
		{
			"a store that is slow ends a bulk call", "G4", "parts.go",
			"if smaller && slow >= slowParts*timeout {", "if false {",
			"TestSlowStoreHoldsUpNoBulkCall",
		},
		{
			"what is not sent fails by itself, and not by what others were refused for", "G4", "parts.go",
			"return sent, errLate\n\t\t}", "return sent, join(append(errs, errLate))\n\t\t}",
			"TestWhatASlowStoreIsNotAsked",
		},
		{
			"a removal goes on, however slow the store is", "G5", "parts.go",
			"!p.stops && size < p.most", "size < p.most",
			"TestSlowStoreRemovesAll",
		},
		{
			"a part that fails ends a bulk call", "G4", "parts.go",
			"case err != nil && !Answered(err):", "case err != nil && false:",
			"TestPartThatFailsEndsABulkCall",
		},
		{
			"a reader keeps half of its time in a bulk call", "G4", "parts.go",
			"if sent == 0 || over.IsZero() {", "if sent >= 0 {",
			"TestReaderKeepsHalfOfItsTimeInABulkCall",
		},
		{
			"a removal that was cut off is confirmed only as far as it came", "G5", "store.go",
			"if err == nil && removed == first {", "if removed == first {",
			"TestRemovalsAreConfirmedPartByPart",
		},
		{
			"a prefix with many keys is removed piece by piece", "G4", "store.go",
			"if n > 0 && isTimeout(err) {", "if false {",
			"TestPrefixThatTakesLongIsRemoved",
		},
		{
			"a large value gets more time", "G4", "parts.go",
			"limit += timeFor(bytes)", "_ = bytes",
			"TestLargeValueGetsMoreTime",
		},
		{
			"a part is bounded in bytes", "G9", "parts.go",
			"if size >= mostBytes {", "if false {",
			"TestPartsAreBoundedInBytes",
		},
		{
			"a fill in parts is over after its last part", "G5", "store.go",
			"\t\ts.left.Add(1)\n", "",
			"TestFillerIsToldWhenTheLastPartHasReturned",
		},
		{
			"grants of an orphan are given back", "G6", "lease.go",
			"giveBack := func(grants []provider.Grant) { b.giveBack(ctx, grants) }", "giveBack := func([]provider.Grant) { _ = b.giveBack }",
			"TestGrantsThatNobodyGetsAreGivenBack",
		},
		{
			"grants beside an error belong to the caller", "G6", "lease.go",
			"if err != nil && g.Err == nil && g.State != provider.LeaseGranted {", "if err != nil && g.Err == nil {",
			"TestGrantsBesideAnErrorBelongToTheCaller",
		},
		{
			"what a deadline cuts off is no answer", "G4", "ask.go",
			"\tcase isTimeout(err):\n\t\treturn storeFailed\n", "",
			"TestWhatADeadlineCutsOffIsNoAnswer",
		},
		{
			"a hold is given up as it was placed", "G4", "lease.go",
			"partToken += \"-\" + strconv.Itoa(i)", "_ = strconv.Itoa(i)",
			"TestHoldIsGivenUpAsItWasPlaced",
		},
		{
			"a store that refuses writes is known", "G4", "shards.go",
			"refusals.record(does.kind, refusal(v))", "_ = refusals",
			"TestRefusalsStopFillsOnly",
		},
		{
			"a store that refuses writes is not asked to fill", "G4", "backend.go",
			"case does.kind == writes && !refusals.allow(writes, mayProbe):", "case false:",
			"TestRefusalsStopFillsOnly",
		},
		{
			"a store that refuses reads fails", "G4", "ask.go",
			"if v == storeRefused && r.does.kind == reads {", "if false {",
			"TestRefusedReadsAreFailures",
		},
		{
			"a replica is left alone at once", "G1", "breaker.go",
			"\t\tb.replica = true\n\t\tb.openLocked()\n", "\t\tb.replica = true\n",
			"TestBreakerOfAReplica",
		},
		{
			"a replica is not read", "G1", "breaker.go",
			"if b.probing || b.replica && does == reads ||", "if b.probing ||",
			"TestBreakerOfAReplica",
		},
		{
			"a read does not say that a replica takes writes", "G1", "breaker.go",
			"if b.replica && does == reads {", "if false {",
			"TestBreakerOfAReplica",
		},
		// A process that is short of processor time.
		{
			"a process that is late waits longer", "G4", "ask.go",
			"Bound(ctx, timeout+allowance)", "Bound(ctx, timeout)",
			"TestLateProcessWaitsLonger",
		},
		{
			"a process is late only while it is", "G4", "lateness.go",
			"\tcase age < latenessWindow:\n\t\treturn\n", "\tcase l.now > 0:\n\t\treturn\n",
			"TestLateProcessWaitsLonger",
		},
		{
			"a process that is late does not wait long", "G4", "lateness.go",
			"min(lateTurns*l.recentLocked(), l.most)", "lateTurns * l.recentLocked()",
			"TestLateProcessDoesNotWaitLong",
		},
		{
			"a timeout of a process that is late is a part of a failure", "G4", "breaker.go",
			"b.failedLocked(1)", "b.failedLocked(lateShare)",
			"TestLateProcessKeepsItsStore",
		},
		{
			"many timeouts of a process that is late are a failure", "G4", "breaker.go",
			"b.failedLocked(1)", "",
			"TestLateProcessAndADeadStore",
		},
		{
			"a request with time enough is a failure in a process that is late", "G4", "lateness.go",
			"lateTurns*late > allowance", "late > 0",
			"TestLateProcessAndADeadStore",
		},
		{
			"a sample that does not come counts", "G4", "lateness.go",
			"\tif l.sampling.Load() {\n\t\tl.addLocked(time.Since(l.due))\n\t}\n", "",
			"TestSampleThatIsDueCounts",
		},
		{
			"samples end with the requests", "G9", "lateness.go",
			"\tl.addLocked(time.Since(l.due))\n\tif l.underWay.Load() > 0 {", "\tl.addLocked(time.Since(l.due))\n\tif true {",
			"TestSamplesEndWithTheRequests",
		},
		{
			"a sample waits for a processor", "G4", "lateness.go",
			"\tl.addLocked(time.Since(l.due))\n\tif", "\tif",
			"TestBusyProcessIsLate",
		},
		{
			"an error that panics is a failure", "G4 G8", "ask.go",
			"\terr = Sane(err)\n\tv := verdictWithin(ctx, err)", "\tv := verdictWithin(ctx, err)",
			"TestErrorThatPanicsIsAFailure",
		},
	}
}

// providerMutants are those of the package that stores share, with the tests beside them.
func providerMutants() []mutant {
	return []mutant{
		{
			"what a codec loses is found", "G1", "loss.go",
			"return encoded, c.compare(v, encoded)", "return encoded, nil",
			"TestLoss",
		},
		{
			"values of another version of a struct are not decoded", "G1", "shape.go",
			"return e.Type == TypeShape(t)", "return true",
			"TestDecodeAnotherShape",
		},
		{
			"a shape has the types of fields", "G1", "shape.go",
			"\t\tw.visit(f.Type)\n", "",
			"TestTypeShape",
		},
		{
			"a shape has the tags of codecs", "G1", "shape.go",
			"w.write(\"%s:%q \", codec, tag)", "_, _ = codec, tag",
			"TestTypeShape",
		},
		{
			"a shape has nothing that no codec sees", "G6", "shape.go",
			"if !f.IsExported() && !f.Anonymous {", "if false {",
			"TestSameShape",
		},
		{
			"what the codec in a wrapper loses is found", "G1", "loss.go",
			"encoded.Data, encoded.Codec = data, codec\n\treturn encoded, err", "encoded.Data, encoded.Codec = data, codec\n\treturn encoded, nil",
			"TestLossOfWrappers",
		},
		{
			"bytes that are no UTF-8 are looked at", "G1", "loss.go",
			"!bytes.Contains(data, []byte(`\\ufffd`))", "true",
			"TestLoss",
		},
		{
			"times with odd zones are looked at", "G1", "loss.go",
			"!(is.times && hasOddTime(reflect.ValueOf(v)))", "true",
			"TestLoss",
		},
		{
			"a value that cannot be compared is lossy, and no panic", "G4", "loss.go",
			"if r := recover(); r != nil {", "if r := any(nil); r != nil {",
			"TestLossOfWhatCannotBeCompared",
		},
		{
			"a type with methods of its own is looked at", "G1", "jsontype.go",
			" || t.Kind() != reflect.Pointer && hasJSONMethods(t)", "",
			"TestLoss",
		},
		{
			"fields that JSON leaves out are looked at", "G1", "jsontype.go",
			"case tag == \"-\", f.Anonymous, !f.IsExported():", "case f.Anonymous:",
			"TestJSONTypes",
		},
		{
			"two fields of one name are looked at", "G1", "jsontype.go",
			"if names[name] || ", "if ",
			"TestJSONTypes",
		},
		{
			"what a codec quotes is hidden from logs", "G9", "codec.go",
			"logged: codecText(err)", "logged: err.Error()",
			"TestErrorsOfCodecsHideValues",
		},
		{
			"a long name of a type is cut", "G9", "codec.go",
			"if len(name) > most {", "if false {",
			"TestErrorsOfCodecsHideValues",
		},
	}
}
