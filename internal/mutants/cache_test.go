package mutants

// cacheMutants are those of the root package.
func cacheMutants() []mutant {
	return []mutant{
		// What one process does without the store's help.
		{
			"a flight whose epoch has ended is not stored", "G2", "epoch.go",
			"if f.ended || f.phase != phaseLoading {", "if f.phase != phaseLoading {",
			"TestLateFillIsRefused",
		},
		{
			"a reader joins a flight of its own epoch only", "G1", "epoch.go",
			"return !f.ended && f.phase != phaseClosed", "return f.phase != phaseClosed",
			"TestFenceAgainstTwin",
		},
		{
			"invalidations end epochs", "G1 G2", "epoch.go",
			"return fence{phase: f.phase, ended: true}, f.phase == phaseFilling", "return f, f.phase == phaseFilling",
			"TestLateFillIsRefused",
		},
		{
			"epochs end before the removal", "G1 G2", "invalidation.go",
			"if g.endLocked(f) {", "if f.fence.phase == phaseFilling {",
			"TestLoadThatEndsDuringTheInvalidationDoesNotFill",
		},
		{
			"epochs end once more after the removal", "G1", "invalidation.go",
			"g.eachLocked(confirmed, func(f *flight) { g.endLocked(f) })", "",
			"TestFlightThatFoundTheOldValueDuringInvalidationIsNotJoinedAfterwards",
		},
		{
			"epochs end after a removal that failed, too", "G1 G5", "invalidation.go",
			"g.eachLocked(failed, func(f *flight) { g.endLocked(f) })", "",
			"TestFlightThatFoundTheOldEntry",
		},
		{
			"flights under a prefix are covered by it", "G1 G2", "singleflight.go",
			"if targets.coverByPrefix(key) {", "if targets.coverByPrefix(key) && false {",
			"TestHistory/in_process",
		},
		{
			"fills under way are waited for", "G2", "invalidation.go",
			"s.flights.awaitLanding(begun.filling, s.backend.DeleteTimeout)", "",
			"TestInvalidationWaitsForAFillUnderWay",
		},
		{
			"a store in the process has returned when the load ends", "G5", "fence.go",
			"case g.inProcess:", "case false:",
			"TestInvalidationWaitsForAFillUnderWay",
		},
		{
			"no other store has returned before it says so", "G2 G5", "fence.go",
			"case g.inProcess:", "case true:",
			"TestStuckFill",
		},
		{
			"fills that do not return leave the invalidation pending", "G2 G5", "invalidation.go",
			"if f.fence.phase == phaseFilling && covered(f.key) && !stuck[f.key] {", "if f.fence.phase == phaseFilling && covered(f.key) && !stuck[f.key] && false {",
			"TestStuckFill",
		},
		{
			"abandoned flights are not stored", "G2", "leave.go",
			"\t\t\tg.endingLocked(f)\n\t\t}\n\t\tg.endLocked(f)\n", "\t\t\tg.endingLocked(f)\n\t\t}\n",
			"TestCancelledLoadIsNotStored",
		},
		// Results have bounds.
		{
			"results have a bound", "G1", "epoch.go",
			"return began < validBefore", "return true",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"what is found is for readers that began before the store was asked", "G1", "lease.go",
			"c.scope.flights.bind(flights)", "",
			"TestFleet/slow",
		},
		{
			"what is loaded is for readers that began before the load", "G1", "fence.go",
			"\t\tif leases || f.lags {\n\t\t\tf.validBefore = g.clock\n\t\t}", "\t\tif leases {\n\t\t\tf.validBefore = always\n\t\t}",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"what a confirmed fill has stored is for readers that began before it was sent", "G6", "fence.go",
			"f.validBefore = sent", "f.validBefore = min(f.validBefore, sent)",
			"TestConfirmedFillServesAllJoiners",
		},
		{
			"nobody joins a flight whose fill was sent, and readers that began later do not take it", "G1", "fence.go",
			"\t\tg.endLocked(f)\n\t\tif g.closed || c.abandoned || g.pending.covers(f.key) {\n\t\t\trest = append(rest, f)\n\t\t} else {\n\t\t\tstore = append(store, f)\n\t\t}\n\t}\n\treturn store, rest, g.clock", "\t\tif g.closed || c.abandoned || g.pending.covers(f.key) {\n\t\t\trest = append(rest, f)\n\t\t} else {\n\t\t\tstore = append(store, f)\n\t\t}\n\t}\n\treturn store, rest, always",
			"TestFleet/slow",
		},
		// Leases.
		{
			"a failed load releases its lease", "G6", "lease.go",
			"c.release(slices.Concat(rest, unwanted))", "_ = slices.Concat(rest, unwanted)",
			"TestFailedLoadReleasesTheLease",
		},
		{
			"a fill that failed releases its lease", "G6", "lease.go",
			"\t\t\trefused = append(refused, f)\n", "",
			"TestFillThatFailedForOneKeyGivesItsLeaseBack",
		},
		{
			"leases are renewed while their load runs", "G6", "renew.go",
			"\tr.timer = time.AfterFunc(time.Until(r.since.Add(r.ttl/renewalsPerTTL)), r.renew)\n", "",
			"TestLoadLongerThanItsLeaseIsStored",
		},
		{
			"a load that nobody wants keeps no lease", "G6 G7", "renew.go",
			"r.over || r.call.ctx != nil && r.call.ctx.Err() != nil", "false",
			"TestLoadThatNobodyWantsIsNotRenewed",
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
			"a failed removal is pending", "G5", "invalidation.go",
			"g.pending.add(failed, begun.version)", "",
			"TestFailedInvalidationIsPending",
		},
		{
			"an invalidation of one key outlives its caller", "G1", "invalidate.go",
			"s.invalidate(r, Targets{", "s.invalidate(ctx, Targets{",
			"TestInvalidateIgnoresTheEndOfItsContext",
		},
		{
			"a batch collects an invalidation of one key", "G2", "invalidate.go",
			"if s.directives.Load() != 0 {", "if false {",
			"TestBatchInvalidatesAfterTheCommit",
		},
		{
			"a failed removal of keys is an error", "G5", "invalidation.go",
			"r.failed.Keys, err = s.removeKeys(ctx, targets, insist)", "_, err = s.removeKeys(ctx, targets, insist)",
			"TestFailedInvalidationIsPending",
		},
		{
			"keys of a part that was removed are not pending", "G4", "invalidation.go",
			"\t\tif !removed[i] {", "\t\tif i < 0 {",
			"TestPartOfAnInvalidationIsConfirmed",
		},
		{
			"a failed removal of a prefix is an error", "G5", "invalidation.go",
			"r.failed.Prefixes = append(r.failed.Prefixes, prefix)\n", "\n",
			"TestPartOfTheTargetsFails",
		},
		{
			"what is pending is not read", "G1 G5", "singleflight.go",
			"if g.bypassing.Load() == 0 {", "if g.bypassing.Load() >= 0 {",
			"TestFailedInvalidationIsPending",
		},
		{
			"flights bypass the store while their key is pending", "G1 G5", "singleflight.go",
			"f.lags || g.pending.covers(i.key) || purpose", "f.lags || purpose",
			"TestFailedInvalidationIsPending",
		},
		{
			"nothing is filled while its key is pending", "G2 G5", "fence.go",
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
			"return max(before, version)", "return version",
			"TestPendingVersionIsNotTakenBack",
		},
		{
			"what is pending is retried", "G5", "invalidation.go",
			"s.retryPending(ctx)", "",
			"TestFailedInvalidationIsPending",
		},
		{
			"an invalidation outlives its context", "G5", "batch.go",
			"removed, errs = e.invalidateShares(after, stale)", "removed, errs = e.invalidateShares(ctx, stale)",
			"TestInvalidateIgnoresTheEndOfItsContext",
		},
		{
			"what is pending is bounded", "G9", "pending.go",
			"return c.size() <= c.limit && len(c.prefixes) <= maxPrefixes", "return true",
			"TestPendingCollapses",
		},
		// Writes.
		{
			"a hold is placed before the write", "G1 G2", "mutate.go",
			"holds, err := holdShares(ctx, toHold, m.HoldFor)", "holds, err := []held(nil), error(nil)\n\t_ = toHold",
			"TestHoldSurvivesTheWriter",
		},
		{
			"what cannot be held is not written", "G1 G2", "invalidation.go",
			"\t\treturn \"\", fmt.Errorf(\"%w: scope %q: %w\", ErrNotHeld, s.name, err)\n\t}\n\treturn token, nil", "\t}\n\treturn token, nil",
			"TestMutateDoesNotWriteWhatItCannotHold",
		},
		{
			"what was held is invalidated", "G1 G2", "mutate.go",
			"return m.Invalidate(result).And(m.known())", "return m.Invalidate(result)",
			"TestMutateInvalidatesWhatItHeld",
		},
		{
			"a put ends epochs once more after its fill", "G1", "put.go",
			"\t\tp.scope.flights.endOthers(f)\n", "",
			"TestFlightThatFoundTheOldValueDuringAPut",
		},
		{
			"a write that failed gives up its hold", "G6", "batch.go",
			"\tdefer unholdShares(after, holds)\n", "",
			"TestFailedWriteGivesUpTheHold",
		},
		{
			"a write that changed nothing gives up its hold", "G6", "mutate.go",
			"\t\tr.settled = true\n\t\tunholdShares(r.after, r.holds)\n", "\t\tr.settled = true\n",
			"TestMutateGivesItsHoldUp",
		},
		{
			"nothing is stored while the source may lag", "G2", "singleflight.go",
			"f.bypass = i.alone || f.lags || g.pending", "f.bypass = i.alone || g.pending",
			"TestReplicaLag",
		},
		// One load.
		{
			"a reader that missed before a flight landed looks again", "G6", "singleflight.go",
			"|| g.stored.Load() != stored", "",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		{
			"a reader notes what was stored before it looks", "G6", "wrap.go",
			"r.stored = s, o, ttls, purpose, stored", "r.stored = s, o, ttls, purpose, s.flights.stored.Load()",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		// A load belongs to its key.
		{
			"a load does not end with its reader's context", "G7", "flight.go",
			"context.WithCancelCause(&c.values)", "context.WithCancelCause(context.WithValue(ctx, callKey{}, c))",
			"TestLoadKeepsValuesAndDropsCancellation",
		},
		{
			"the last reader cancels the load", "G7", "leave.go",
			"\tif last {\n\t\tc.cancel(context.Canceled)\n\t}\n\tswitch {", "\tswitch {",
			"TestLastReaderOutCancelsTheLoad",
		},
		{
			"a result that is there wins over a context that has ended", "G7", "leave.go",
			"\tif c.stage >= stageLoaded {\n\t\tg.mu.Unlock()\n\t\treturn nil\n\t}\n", "",
			"TestResultThatIsThereWinsOverAnEndedContext",
		},
		// Outcomes are whole.
		{
			"a panic of a load reaches its readers", "G8", "call.go",
			"err = panicError(p)", "panic(p)",
			"TestFailureReachesEveryReaderOnce",
		},
		{
			"a load that does not return fails", "G8", "call.go",
			"\tif c.returned {", "\tif true {",
			"TestFailureReachesEveryReaderOnce",
		},
		{
			"the user is told after the call has landed", "G8", "call.go",
			"\tdefer c.tell()\n\tdefer c.scope.flights.land(c)\n", "\tdefer c.scope.flights.land(c)\n\tdefer c.tell()\n",
			"TestObserverUsesTheCache",
		},
		{
			"what a function that has ended its goroutine has left is told", "G8", "keyspace.go",
			"\t\t\ts.tellLast(ctx, notices[told:])\n", "",
			"TestFailureOfTheObserverIsReported",
		},
		{
			"a put tells the user apart", "G8", "put.go",
			"c.scope.tellAll(c.loadCtx, nil, c.notices)", "c.tell()",
			"TestGoexitOfTheObserverDuringAPut",
		},
		{
			"the load function gets the context of LoadStart", "G7", "call.go",
			"c.loadCtx = ctx", "_ = ctx",
			"TestLoadStart",
		},
		{
			"a LoadStart that returns no context changes nothing", "G10", "call.go",
			"ctx := s.observer.LoadStart(c.ctx, event); ctx != nil {", "ctx := s.observer.LoadStart(c.ctx, event); true {",
			"TestLoadStart",
		},
		{
			"a LoadStart that does not return changes nothing", "G8", "apart.go",
			"\tgo func() {\n\t\terr := errGoexit\n", "\tfunc() {\n\t\terr := errGoexit\n",
			"TestFailureOfTheObserverIsReported",
		},
		// The store does not fail reads.
		{
			"what is reported of a key is a copy", "G10", "keyspace.go",
			"s.reportGet(ctx, strings.Clone(key), err)", "s.reportGet(ctx, key, err)",
			"TestFamilyReportsKeys",
		},
		{
			"that the breaker is open is no error of the store", "G4", "keyspace.go",
			"if errors.Is(err, backend.ErrOpen) || errors.Is(err, backend.ErrNoTime) {", "if errors.Is(err, backend.ErrNoTime) {",
			"TestWhatIsNoErrorOfTheStore",
		},
		{
			"that a reader had no time is no error of the store", "G4", "keyspace.go",
			"if errors.Is(err, backend.ErrOpen) || errors.Is(err, backend.ErrNoTime) {", "if errors.Is(err, backend.ErrOpen) {",
			"TestWhatIsNoErrorOfTheStore",
		},
		{
			"a key that is observed is a copy", "G10", "family.go",
			"k = strings.Clone(k)", "_ = strings.Clone",
			"TestFamilyIsMemoize",
		},
		{
			"a key that is loaded is a copy", "G10", "family.go",
			"k = string(b.key)", "_ = k",
			"TestFamilyStoresKeys",
		},
		{
			"a load that was cancelled gives its lease back all the same", "G6 G7", "lease.go",
			"c.scope.backend.Release(&c.values, leases)", "c.scope.backend.Release(c.ctx, leases)",
			"TestFailedLoadReleasesTheLease/abandoned",
		},
		{
			"a value of another type is an error", "G4", "value.go",
			"return value, fmt.Errorf(\"%w: the entry holds a %T, not a %v\", errTypeMismatch, stored, reflect.TypeFor[T]())", "return value, nil",
			"TestStoredValueOfAnotherType",
		},
		// Bounded, closed, bad input.
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
			"Close is bounded as a whole", "G9", "cache.go",
			"context.WithTimeout(context.Background(), c.options.CloseTimeout)", "context.WithTimeout(context.Background(), 1000*c.options.CloseTimeout)",
			"TestCloseOfManyScopesIsBounded",
		},
		{
			"flights that landed leave nothing", "G9", "singleflight.go",
			"\t\tg.size--\n\t\tg.removeLocked(f)", "\t\tg.size--",
			"TestFailuresLeaveNothing",
		},
		{
			"keys are checked", "G10", "targets.go",
			"if key == \"\" || len(key) > MaxKeyBytes {", "if false {",
			"TestBadKeysAndFunctions",
		},
		{
			"two caches have two stores", "G1 G2 G6", "storeinuse.go",
			"; taken {", "; taken && false {",
			"TestStoreOfAnotherCacheIsRefused",
		},
		{
			"a cache that is closed has no store", "G9", "cache.go",
			"\tdefer c.giveStoreBack()\n", "",
			"TestStoreOfAnotherCacheIsRefused",
		},
		{
			"a cache that is dropped has no store", "G9", "storeinuse.go",
			"func(store provider.CacheProvider) { storesInUse.Delete(store) }", "func(provider.CacheProvider) {}",
			"TestStoreOfADroppedCacheIsFree",
		},
		{
			"a store is known by its pointer", "G10", "storeinuse.go",
			"return t.Kind() == reflect.Pointer && t.Elem().Size() > 0", "return t != nil",
			"TestStoresWithoutIdentity",
		},
	}
}
