package mutants

// servingMutants are those of stale values, refreshes, remembered failures, limits on
// loads, and writes that store what they have written.
func servingMutants() []mutant {
	return []mutant{
		{
			"a load that its own waiter keeps from its turn runs", "G6", "limit.go",
			"if next.turn != nil && next.turn.place != nil && w.stuckLocked(next) {", "if false {",
			"TestNestedLoadsDoNotWaitForTheirOwnPlace",
		},
		{
			"who leaves the queue is out of it", "G9", "limit.go",
			"\ts.queue.Remove(t.place)\n", "\t",
			"TestLeavingTheQueue",
		},
		{
			"a load gives its place back, whatever becomes of it", "G8 G9", "load.go",
			"\tr.exit()\n\tr.scope.flights.land(r.call)", "\tr.scope.flights.land(r.call)",
			"TestPlacesAreNotLost",
		},
		{
			"what is gone from the source goes from the store, stale or not", "G1", "load.go",
			"\tr.removeGone(flights)\n", "",
			"TestStaleValueAndAbsence",
		},
		{
			"a refresh is not served what it is to replace", "G1", "read.go",
			"\t\tif loads(ctx, r.key) {\n\t\t\treturn Result[T]{}, ErrRecursiveLoad, true\n\t\t}\n", "",
			"TestRefreshThatReadsItsOwnKey",
		},
		{
			"a bulk refresh is not served what it is to replace", "G1", "bulk.go",
			"if (is == early || is == stale) && loads(ctx, r.keys[i]) {", "if false {",
			"TestRefreshThatReadsItsOwnKey",
		},
		{
			"stale values end", "G1", "stale.go",
			"case past < o.StaleWhileRevalidate:", "case past <= o.StaleWhileRevalidate:",
			"TestStanding",
		},
		{
			"values for failures end", "G1", "stale.go",
			"case past < o.StaleIfError:", "case past <= o.StaleIfError:",
			"TestStanding",
		},
		{
			"an invalidation forgets the failure of its key", "G1", "failures.go",
			"\t\tdelete(f.keys, key)\n\t}\n\tif len(targets.Prefixes) == 0 {", "\t\t_ = key\n\t}\n\tif len(targets.Prefixes) == 0 {",
			"TestErrorTTL",
		},
		{
			"an invalidation by prefix forgets failures", "G1", "failures.go",
			"if targets.coverByPrefix(key) {", "if false {",
			"TestErrorTTL",
		},
		{
			"a failure from before an invalidation is not remembered", "G1", "failures.go",
			"if f.fence.ended || g.options", "if g.options",
			"TestFailureFromBeforeAnInvalidation",
		},
		{
			"a refresh of another process is left alone", "G6", "lease.go",
			"\t\tr.yield(busy)\n", "",
			"TestRefreshOfAnotherProcessIsLeftAlone",
		},
		{
			"what a load does not want stored is not", "G2", "loading.go",
			"case d != nil && d.unstored:\n\t\treturn 0\n", "",
			"TestLoadDecidesHowLongItIsStored",
		},
		{
			"one refresh a key", "G6", "singleflight.go",
			"if g.joinableLocked(key) == nil &&", "if",
			"TestOneRefreshPerKey",
		},
		{
			"Refresh takes only what was loaded since it began", "G1", "singleflight.go",
			"\tif loaded && began >= f.began {\n\t\treturn false\n\t}\n", "",
			"TestRefreshAndTheLoadsOfOthers",
		},
		{
			"nobody joins a put", "G1", "singleflight.go",
			"for f != nil && f.call.purpose == toPut {", "for f == nil {",
			"TestPutHidesNoLoad",
		},
		{
			"a put invalidates before its write", "G1 G2", "put.go",
			"\tif err := s.Invalidate(p.ctx, key); err != nil {\n\t\treturn p\n\t}\n", "",
			"TestPut",
		},
		{
			"a put does not store beside a fill under way", "G2", "put.go",
			"\tif g.endOthersLocked(f) {\n\t\treturn false\n\t}", "\tg.endOthersLocked(f)",
			"TestFillDuringAPut",
		},
		{
			"a put that fails releases its lease", "G6", "put.go",
			"\t\t(&run{scope: p.scope, call: p.call}).release(p.ctx, p.call.flights)\n", "",
			"TestPutOfAWriteThatFails",
		},
		{
			"an invalidation during a put wins", "G2", "put.go",
			"f.fence, store = f.fence.fill()", "f.fence, store = fence{phase: phaseFilling}, true",
			"TestInvalidationDuringAPutWins",
		},
		// Reads of many keys.
		{
			"a bulk read does not ask for what is pending", "G1 G5", "bulk.go",
			"if r.scope.flights.bypasses(r.keys[i]) {", "if false {",
			"TestFailedInvalidationIsPending",
		},
		{
			"a bulk load has ids of its own", "G7", "wrapmany.go",
			"r.ids, r.kept = slices.Clone(r.ids), true", "r.kept = true",
			"TestBulkLoadKeepsItsIDs",
		},
		{
			"what a bulk read has worked with is not kept", "G9", "scratch.go",
			"clear(m.values)\n", "",
			"TestScratchKeepsNothing",
		},
		{
			"repeated ids are left out of a copy", "G10", "wrapmany.go",
			"r.ids = slices.Clone(ids[:n])", "r.ids = ids[:n]",
			"TestWrapManyLeavesIDsAlone",
		},
		{
			"a bulk load gets ids in their order", "G6", "bulk.go",
			"slices.Sort(missing)", "_ = slices.Sort[[]int]",
			"TestBulkLoadWithPendingInvalidationsInOrder",
		},
		{
			"a store that has no values to give costs a load", "G4", "bulk.go",
			"return nil, append(missing, positions...)", "return nil, missing",
			"TestGetValuesThatPanics",
		},
		{
			"a bulk read takes nothing from before it began", "G1", "bulk.go",
			"late(b.flights, gone, r.began, false)", "late(b.flights, gone, 0, false)",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"a read takes nothing from before it began", "G1", "read.go",
			"if s.flights.late(b.flights, nil, r.began, r.loaded) != nil {", "if s.flights.late(b.flights, nil, 0, r.loaded) != nil {",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"absences have a bound, too", "G1", "singleflight.go",
			"|| f.outcome.err != nil && !f.outcome.entry.Absent", "|| f.outcome.err != nil",
			"TestWhatALateReaderTakes",
		},
		{
			"a load that failed has failed for all its readers", "G8", "singleflight.go",
			"|| f.outcome.err != nil && !f.outcome.entry.Absent", "",
			"TestWhatALateReaderTakes",
		},
		{
			"a bulk read began when it began", "G6", "bulk.go",
			"if r.began == 0 {", "if true {",
			"TestReaderIsTooLateOnce",
		},
		{
			"a read began when it began, however often it tries", "G6", "read.go",
			"if r.began == 0 {", "if true {",
			"TestReaderIsTooLateOnce",
		},
		{
			"who missed in bulk before a flight landed asks again", "G6", "bulk.go",
			"len(missing)), stored: r.stored,", "len(missing)), stored: s.flights.stored.Load(),",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		{
			"a stored value of another type is a miss in bulk", "G4", "bulk.go",
			"\t\t\tr.scope.report(OpGet, r.keys[i], err)\n\t\t\treturn false\n\t\t}\n\t}", "\t\t\tr.scope.report(OpGet, r.keys[i], err)\n\t\t}\n\t}",
			"TestStoredValueOfAnotherType",
		},
		{
			"what others load as another type is loaded again", "G4", "bulk.go",
			"case !r.takeLoaded(i, &f.outcome):", "case !r.takeLoaded(i, &f.outcome) && false:",
			"TestFlightOfAnotherType",
		},
		{
			"what another loads as another type is loaded again", "G4", "read.go",
			"value, err = loadAlone(ctx, r.load)", "err = nil",
			"TestFlightOfAnotherType",
		},
		{
			"a bulk load that failed is one error", "G8", "bulk.go",
			"told[f.call] = true", "",
			"TestPanicAffectsOnlyTheKeysOfItsCall",
		},
		{
			"a bulk reader that leaves several loads gets one error", "G8", "bulk.go",
			"leftTold = leftTold || left", "_ = leftTold",
			"TestBulkReaderLeavesSeveralCalls",
		},
		{
			"a bulk load that failed is one error later, too", "G8", "bulk.go",
			"return same(err, other) }) {", "return false }) {",
			"TestRememberedErrorOfABulkLoad",
		},
		{
			"a bulk read waits for its other loads if one ends", "G8", "wait.go",
			"\t\t\tgone[c] = err\n", "\t\t\tgone[c] = err\n\t\t\tbreak\n",
			"TestBulkReaderLeavesSeveralCalls",
		},
		{
			"a load that has brought a part is not over", "G7", "lease.go",
			"r.load(ctx, ready, len(busy) == 0)", "r.load(ctx, ready, true)",
			"TestLeavingACallThatHasLoadedAPart",
		},
		// Stale values and values for failures.
		{
			"a bulk read has replaced what is due", "G6", "bulk.go",
			"if len(due.positions) > 0 {", "if false {",
			"TestStaleBoundaries",
		},
		{
			"a read has replaced what is due", "G6", "read.go",
			"\t\tr.refresh(ctx, entry)\n", "",
			"TestStaleBoundaries",
		},
		{
			"what has ended is no value for failures", "G1", "bulk.go",
			"isSpare: is == fallback}", "isSpare: true}",
			"TestValueThatOthersKeepForLonger",
		},
		{
			"a value for failures is not served at once in bulk", "G1", "bulk.go",
			"if is >= fallback {", "if is > fallback {",
			"TestStaleBoundaries",
		},
		{
			"a load takes from the store only what is fresh", "G1", "load.go",
			"r.scope.standing(entry) <= early {", "true {",
			"TestResultOfUnknownAge",
		},
		{
			"absences are not served stale", "G1", "stale.go",
			"case entry.Absent:\n\t\treturn expired", "case false:\n\t\treturn expired",
			"TestStanding",
		},
		{
			"absences do not stay for failures", "G9", "stale.go",
			"if ttl == NoExpiry || entry.Absent || !o.ages() {", "if ttl == NoExpiry || !o.ages() {",
			"TestKeep",
		},
		{
			"stale values leave the store", "G9", "stale.go",
			"return min(ttl, NoExpiry-1-o.staleFor()) + o.staleFor()", "return NoExpiry",
			"TestStaleValuesLeaveTheStore",
		},
		{
			"an absence is served instead of a stale value", "G1", "read.go",
			"case o.err != nil && !o.entry.Absent && r.mayFallBack(ctx, o.err):", "case o.err != nil && r.mayFallBack(ctx, o.err):",
			"TestAbsenceComesBeforeAStaleValue",
		},
		{
			"a stale value is served instead of a remembered error", "G4", "read.go",
			"err != nil && !r.hasSpare {", "err != nil {",
			"TestStaleValueComesBeforeARememberedError",
		},
		{
			"a bulk read falls back on stale values", "G4", "bulk.go",
			"case err != nil && r.found[i].isSpare && mayFallBack(ctx, err):", "case false:",
			"TestStaleBoundaries",
		},
		{
			"a read falls back on a stale value", "G4", "read.go",
			"case o.err != nil && !o.entry.Absent && r.mayFallBack(ctx, o.err):", "case false:",
			"TestStaleBoundaries",
		},
		{
			"a reader that has left a load takes its stale value", "G4", "read.go",
			"case err != nil && r.mayFallBack(ctx, err):", "case false:",
			"TestSoftLoadTimeout",
		},
		{
			"a bulk reader whose context has ended gets its error", "G7", "bulk.go",
			"case err != nil && r.found[i].isSpare && mayFallBack(ctx, err):", "case err != nil && r.found[i].isSpare:",
			"TestStillLoadingIsNotReturned",
		},
		{
			"a reader whose context has ended gets its error", "G7", "read.go",
			"return ctx.Err() == nil && !errors", "return !errors",
			"TestStillLoadingIsNotReturned",
		},
		{
			"a bulk read waits for what it has no stale value for", "G4", "bulk.go",
			"spare[f.call] = false", "_ = f",
			"TestSoftLoadTimeoutOfABulkRead",
		},
		{
			"a slow load is left for a stale value", "G4", "wait.go",
			"soft = timer.C", "",
			"TestSoftLoadTimeout",
		},
		{
			"the patience with a load begins with it", "G4", "wait.go",
			"time.NewTimer(time.Until(c.created.Add(g.options.SoftLoadTimeout)))", "time.NewTimer(g.options.SoftLoadTimeout)",
			"TestSoftLoadTimeout",
		},
		{
			"a load that was left for a stale value goes on", "G7", "wait.go",
			"|| why == tookLong ||", "||",
			"TestSoftLoadTimeout",
		},
		{
			"a bulk refresh does not take what it is to replace", "G6", "bulk.go",
			"seen: due.seen, stored", "stored",
			"TestStaleBoundaries",
		},
		{
			"a refresh does not take what it is to replace", "G6", "load.go",
			"known := !f.seen.IsZero() && entry.LoadedAt.Equal(f.seen)", "known := false",
			"TestStaleBoundaries",
		},
		{
			"a load in the background ends with no reader", "G7", "singleflight.go",
			"\tc := g.createLocked(r, missing)\n\tc.detached = true\n", "\tc := g.createLocked(r, missing)\n",
			"TestRefreshThatWasJoinedGoesOn",
		},
		{
			"a refresh that failed is not tried at once", "G6", "singleflight.go",
			"&& !g.failures.rests(key, now) {", "&& !now.IsZero() {",
			"TestRetryAfterDoubles",
		},
		{
			"an absence that is stored removes no lease", "G6", "load.go",
			"!f.direct && f.ttl() < 0\n", "!f.direct\n",
			"TestStaleValueAndAbsence",
		},
		{
			"what a load does not want stored removes nothing", "G4", "load.go",
			"!f.direct && f.ttl() < 0\n", "!f.direct && f.ttl() <= 0\n",
			"TestRefreshOfWhatIsGoneThatIsNotStored",
		},
		// Failures that are remembered.
		{
			"failures are remembered", "G6", "singleflight.go",
			"\tg.learnLocked(c)\n", "",
			"TestErrorTTL",
		},
		{
			"pauses after failures get longer", "G6", "failures.go",
			"count := f.keys[key].count + 1", "count := 1",
			"TestErrorTTL",
		},
		{
			"a remembered error ends", "G8", "failures.go",
			"now.Before(f.until) {", "now.Before(f.until) || true {",
			"TestErrorTTL",
		},
		{
			"a bulk read takes a remembered error", "G6", "bulk.go",
			"} else if err := s.flights.lastError(key); err != nil {", "} else if err := s.flights.lastError(key); err != nil && false {",
			"TestErrorTTL",
		},
		{
			"a read takes a remembered error", "G6", "read.go",
			"err != nil && !r.hasSpare {", "err != nil && false {",
			"TestErrorTTL",
		},
		{
			"a bulk read is served while the source is left alone", "G6", "bulk.go",
			"if resting, err := s.flights.resting(key); resting {", "if resting, err := s.flights.resting(key); resting && false {",
			"TestRetryAfterDoubles",
		},
		{
			"a read is served while the source is left alone", "G6", "read.go",
			"resting && r.hasSpare {", "resting && false {",
			"TestRetryAfterDoubles",
		},
		{
			"a pause after a failure ends", "G1", "failures.go",
			"return now.Before(f.keys[key].retryAt)", "return !f.keys[key].retryAt.IsZero()",
			"TestRetryAfterDoubles",
		},
		{
			"a success ends a pause", "G6", "failures.go",
			"case f.outcome.known && len(g.failures.keys) > 0:", "case false:",
			"TestRetryAfterDoubles",
		},
		{
			"an absence is no failure", "G8", "failures.go",
			"case f.outcome.err != nil && !f.outcome.entry.Absent:", "case f.outcome.err != nil:",
			"TestWhatIsRemembered",
		},
		{
			"a timeout is a failure", "G6", "wait.go",
			"if cause := c.cause(); errors.Is(cause, ErrLoadTimeout) {", "if cause := c.cause(); false {",
			"TestWhatIsRemembered",
		},
		{
			"that readers left is no failure", "G7", "wait.go",
			"errors.Is(cause, ErrLoadTimeout) {", "cause == nil || errors.Is(cause, ErrLoadTimeout) {",
			"TestWhatIsRemembered",
		},
		{
			"a timeout is a failure of a load that was left, too", "G6", "wait.go",
			"&& !c.detached || over != nil", "&& !c.detached",
			"TestTimeoutOfALoadThatWasLeft",
		},
		{
			"a refresh that finds no place hides no error", "G8", "failures.go",
			"if last.err == nil {", "if true {",
			"TestErrorIsRememberedWhileARefreshRests",
		},
		{
			"remembered failures are bounded", "G9", "failures.go",
			"number:  number,\n\t}\n\tif len(f.keys) > maxFailures {", "number:  number,\n\t}\n\tif false {",
			"TestFailuresAreBounded",
		},
		{
			"pauses of refreshes are bounded", "G9", "failures.go",
			"\tf.keys[key] = last\n\tif len(f.keys) > maxFailures {", "\tf.keys[key] = last\n\tif false {",
			"TestFailuresAreBounded",
		},
		{
			"what makes room is what is over", "G6", "failures.go",
			"if !now.Before(failure.retryAt) && !now.Before(failure.until) {", "if !now.Before(failure.until) {",
			"TestFailuresThatAreNotOver",
		},
		{
			"Refresh asks though the last load failed", "G8", "read.go",
			"\t\tif !r.loaded {\n", "\t\tif true {\n",
			"TestRefreshThatFails",
		},
		{
			"who asked just before a failure asks again", "G6 G8", "singleflight.go",
			"if g.failures.keys[key].number > r.failed {", "if false {",
			"TestFailureJustBeforeALoad",
		},
		// Leases of what is stored.
		{
			"a load does not look at what is pending", "G1 G5", "load.go",
			"return direct, filter(r.call.flights, func(f *flight) bool { return !f.direct })", "return nil, r.call.flights",
			"TestLoadWhilePendingDoesNotSeeTheStore",
		},
		{
			"a load of what may lag is not stored without leases", "G2", "load.go",
			"if f.direct || f.outcome.err != nil", "if f.outcome.err != nil",
			"TestReplicaLag",
		},
		{
			"what was removed is no old value", "G1", "lease.go",
			"if f.old = nil; g.Found {", "if g.Found {",
			"TestWhatWasRemovedIsNoOldValue",
		},
		{
			"a value of another type is no old value", "G4", "load.go",
			"!entry.Absent && r.job.holds(entry.Value)", "!entry.Absent",
			"TestOldValueIsOfItsType",
		},
		{
			"an absence is no old value", "G4", "load.go",
			"if !entry.Absent && r.job.holds(entry.Value) {", "if r.job.holds(entry.Value) {",
			"TestOldValueIsOfItsType",
		},
		{
			"only what is stored is confirmed", "G1", "loading.go",
			"\t\tif l.flight.old == nil {", "\t\tif false {",
			"TestBadDecisions",
		},
		{
			"a load that failed confirms nothing", "G8", "loading.go",
			"if d.unmodified && f.old != nil && (err == nil || len(f.call.flights) > 1) {", "if d.unmodified && f.old != nil {",
			"TestNotModifiedAndAnError",
		},
		{
			"decisions that make no sense fail the load", "G10", "loading.go",
			"if d.err != nil && (o.err == nil || o.entry.Absent) {", "if false {",
			"TestBadDecisions",
		},
		{
			"a load decides its TTL", "G2", "loading.go",
			"case d != nil && d.ttl != 0:", "case false:",
			"TestLoadDecidesHowLongItIsStored",
		},
		{
			"what comes after the timeout is dropped", "G7", "load.go",
			"case errors.Is(cause, ErrLoadTimeout):\n\t\terr = tooLate(flights, err)", "case false:\n\t\terr = tooLate(flights, err)",
			"TestLoadTimeoutIsExact",
		},
		{
			"what is said after the timeout is dropped", "G7", "load.go",
			"f.outcome, f.decided = outcome{}, nil", "f.outcome = outcome{}",
			"TestDecisionsAfterTheTimeoutInTheBackground",
		},
		{
			"nothing is filled without a lease", "G2", "lease.go",
			"candidates := filter(storable, func(f *flight) bool { return f.lease != nil })", "candidates := filter(storable, func(f *flight) bool {\n\t\tif f.lease == nil {\n\t\t\tf.lease = &provider.Lease{Key: r.scope.key(f.key)}\n\t\t}\n\t\treturn true\n\t})",
			"TestNothingIsFilledWithoutALease",
		},
		{
			"a lease lasts as long as its load may", "G6", "lease.go",
			"return max(s.cache.options.LeaseTTL, s.options.LoadTimeout)", "return s.cache.options.LeaseTTL",
			"TestLeaseLastsAsLongAsItsLoad",
		},
		{
			"a refresh does not wait for a lease", "G6", "lease.go",
			"if r.call.purpose == toRefresh {", "if false {",
			"TestRefreshOfAnotherProcessIsLeftAlone",
		},
		{
			"what others replace again and again is theirs", "G6", "lease.go",
			"return slices.Concat(ready, moreReady, bad), slices.Concat(busy, moreBusy, old)", "return slices.Concat(ready, moreReady, bad, old), slices.Concat(busy, moreBusy)",
			"TestWhatOthersReplaceIsLeftToThem",
		},
		{
			"what others have stored is not removed", "G6", "lease.go",
			"case r.scope.cache.backend.refresher != nil && f.seen.Equal(g.Entry.LoadedAt) && !f.seen.IsZero():", "case false:",
			"TestWhatOthersReplaceIsLeftToThem",
		},
		{
			"Refresh gets its lease whatever others store", "G6", "lease.go",
			"LoadedAt: f.seen, Force: replace}", "LoadedAt: f.seen}",
			"TestRefreshOfWhatOthersReplace",
		},
		{
			"a fresh value beside a lease is taken", "G6", "lease.go",
			"if !g.Found || !r.found(f, &g.Entry) {", "if true {",
			"TestFreshValueBesideALease",
		},
		{
			"what cannot be read makes room", "G4", "lease.go",
			"if errors.Is(g.Err, provider.ErrUndecodable) {", "if false {",
			"TestWhatCannotBeReadIsReplaced",
		},
		{
			"what is of unknown age and type makes room", "G4", "lease.go",
			"f.seen.Equal(g.Entry.LoadedAt) && !f.seen.IsZero():", "f.seen.Equal(g.Entry.LoadedAt):",
			"TestWhatCannotBeReadIsReplaced",
		},
		{
			"what is held is not waited for", "G4", "lease.go",
			"case provider.LeaseHeld:\n\t\t\tready = append(ready, f)", "case provider.LeaseHeld:\n\t\t\tbusy = append(busy, f)",
			"TestReplicaLag",
		},
		{
			"a fill that failed for all keys releases their leases", "G6", "lease.go",
			"\t\tr.release(ctx, store)\n\t\treturn 0", "\t\treturn 0",
			"TestFailedFillLeavesTheLease",
		},
		{
			"what was granted too late is given back in time", "G6", "lease.go",
			"ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.readTimeout)", "ctx, cancel := context.WithTimeout(ctx, b.readTimeout)",
			"TestLeaseGrantedTooLateIsGivenBack",
		},
		{
			"who has little time waits less for a lease", "G4", "lease.go",
			"wait, _ := boundFor(ctx, r.scope.cache.options.LeaseWait)", "wait := r.scope.cache.options.LeaseWait",
			"TestImpatientCallerAndBusyLease",
		},
		{
			"who has little time waits less for the store", "G4", "lease.go",
			"if r.call.patience.IsZero() {", "if true {",
			"TestImpatientCallerAndHangingLeases",
		},
		{
			"waiting for a lease ends with its readers", "G7", "lease.go",
			"!sleep(ctx, min(", "!sleep(context.WithoutCancel(ctx), min(",
			"TestLoadAfterEverybodyLeft",
		},
		{
			"grants that cannot be told apart are none", "G4", "lease.go",
			"if err == nil && len(grants) != n {", "if false {",
			"TestWrongNumberOfGrants",
		},
		{
			"answers that cannot be told apart are none", "G4", "lease.go",
			"if err == nil && len(filled) != len(fills) {", "if false {",
			"TestWrongNumberOfGrants",
		},
		{
			"a store that fails is asked for no leases", "G4", "lease.go",
			"\tif err := b.admit(); err != nil {\n\t\treturn nil, err\n\t}\n\treturn ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Grant, error) {", "\treturn ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Grant, error) {",
			"TestLeasesOfAFailingStore",
		},
		{
			"a store that fails is not filled", "G4", "lease.go",
			"\tif err := b.admit(); err != nil {\n\t\treturn nil, err\n\t}\n\treturn ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Filled, error) {", "\treturn ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Filled, error) {",
			"TestLeasesOfAFailingStore",
		},
		{
			"a store that fails is not asked to take leases back", "G4", "lease.go",
			"\tif err := b.admit(); err != nil {\n\t\treturn err\n\t}\n", "",
			"TestLeasesOfAFailingStore",
		},
		{
			"a load queues before it takes its lease", "G6", "load.go",
			"case r.enter(ctx) != nil:", "case false:",
			"TestLeaseDoesNotWaitInTheQueue",
		},
		// Readers and their loads.
		{
			"a flight does not hide an older one of its key", "G2", "singleflight.go",
			"f.direct, f.bound, f.next = g.directLocked(key), unbounded, g.live[key]", "f.direct, f.bound = g.directLocked(key), unbounded",
			"TestInvalidationWaitsForAFillUnderWay",
		},
		{
			"what fills stays known when its epoch ends", "G2", "singleflight.go",
			"\tif !filling {\n\t\tg.removeLocked(f)", "\tif true {\n\t\tg.removeLocked(f)",
			"TestStuckFill",
		},
		{
			"an invalidation covers all flights of a key", "G2", "singleflight.go",
			"\t\tfor f != nil {\n\t\t\tnext", "\t\tif f != nil {\n\t\t\tnext",
			"TestStuckFill",
		},
		{
			"a fill that does not return stays known", "G2 G5", "singleflight.go",
			"if f.fence.phase == phaseFilling && !c.answered {", "if false {",
			"TestStuckFill",
		},
		{
			"nobody joins a load that has landed", "G1", "singleflight.go",
			"f.fence, _ = f.fence.end() // it stays only to be waited for", "// it stays only to be waited for",
			"TestResultOfAStuckFillGetsOld",
		},
		{
			"a fill that returns late is forgotten", "G9", "singleflight.go",
			"\tif c.landed {\n\t\tg.settleLocked(c)\n\t}\n", "",
			"TestStuckFill",
		},
		{
			"a result is there before it is stored", "G7", "singleflight.go",
			"\tc.loaded = c.loaded || last\n\tstore = filter(", "\tstore = filter(",
			"TestResultThatIsThereWinsOverAnEndedContext",
		},
		{
			"a result is there before it is filled", "G7", "singleflight.go",
			"\tc.loaded = c.loaded || last\n\tg.now++ // nothing", "\tg.now++ // nothing",
			"TestResultThatIsBeingFilledWins",
		},
		{
			"a timeout does not end what has loaded", "G6", "wait.go",
			"\tif c.loaded {\n\t\treturn false\n\t}\n", "",
			"TestReaderAfterTheTimeoutDuringAFill",
		},
		{
			"nobody joins a load that is over", "G7", "wait.go",
			"\tcase <-c.over:\n\t\tg.abandonLocked(c)\n\t\treturn true", "\tcase <-c.over:\n\t\treturn false",
			"TestLoadTimeoutWhileItsReaderWaitsForAnotherLoad",
		},
		{
			"the end of a load sends its readers away", "G7", "wait.go",
			"\t\tif c.final.Load() {\n\t\t\treturn nil\n\t\t}\n\t}\n\treturn g.leave", "\t\tg.awaitLanding(c)\n\t\treturn nil\n\t}\n\treturn g.leave",
			"TestLoadTimeoutIsExact",
		},
		{
			"a fill has a deadline of its own", "G7", "load.go",
			"ctx := &r.call.values // once the load is done, the fill", "ctx := r.call.ctx // the fill",
			"TestFillIsNotBoundedByTheLoadTimeout",
		},
		{
			"who joins a load is a reader of it", "G7", "singleflight.go",
			"\t\tc.waiters++\n", "\t\t_ = c\n",
			"TestEachWaiterLeavesAtItsOwnDeadline",
		},
		{
			"a load that is over wakes who waits, and its context ends", "G7 G9", "singleflight.go",
			"\tc.final.Store(true)\n\tc.cancel(context.Canceled)", "\tc.final.Store(true)",
			"TestContextOfALoadEndsWithIt",
		},
		{
			"a read that would wait for itself leaves its loads", "G7 G9", "wait.go",
			"if c.waiters--; c.waiters == 0 && !c.loaded && !c.detached {", "if c.waiters--; false {",
			"TestRecursiveLoadLeavesItsOtherLoads",
		},
		{
			"a load in the background that reads its own key goes on", "G7", "wait.go",
			"c.waiters == 0 && !c.loaded && !c.detached {", "c.waiters == 0 && !c.loaded {",
			"TestRecursiveRefreshGoesOn",
		},
		{
			"a load may wait twice for another", "G8", "waits.go",
			"w.on[c][other]++", "w.on[c][other] = 1",
			"TestRecursiveLoadOfTwoReaders",
		},
		{
			"loads wait for each other through others", "G8", "waits.go",
			"if !seen[next] && w.reachesLocked(next, target, seen) {", "if next == target {",
			"TestNestedLoadsDoNotWaitForTheirOwnPlace",
		},
		{
			"loads that have waited leave nothing", "G9", "waits.go",
			"\tif len(w.on[c]) == 0 {\n\t\tdelete(w.on, c)\n\t}\n", "",
			"TestNestedLoadsOfOtherKeys",
		},
		{
			"a fill is counted", "G6", "singleflight.go",
			"\tc.asked = c.asked || len(store) > 0\n", "",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		{
			"Refresh looks at what it replaces", "G6", "singleflight.go",
			"|| r.purpose == toReplace ||", "||",
			"TestRefreshOfWhatIsGone",
		},
		{
			"Refresh takes nothing that is stored", "G1", "read.go",
			"\tif r.loaded {\n\t\treturn result, nil, false\n\t}\n", "",
			"TestRefreshAndALoadInTheBackground",
		},
		{
			"a load is not served what it is to replace", "G1", "read.go",
			"&& !errors.Is(err, ErrRecursiveLoad)", "",
			"TestLoadThatReadsItsOwnKey",
		},
		{
			"Close sends readers with a stale value away", "G9", "read.go",
			"&& !errors.Is(err, ErrClosed) &&", "&&",
			"TestCloseSendsReadersWithAStaleValueAway",
		},
		{
			"nothing is loaded after Close", "G9", "singleflight.go",
			"\tif g.closed {\n\t\treturn boarding{}, ErrClosed\n\t}\n", "",
			"TestCloseDuringALook",
		},
		{
			"nothing is loaded in the background after Close", "G9", "singleflight.go",
			"\tif g.closed {\n\t\treturn nil\n\t}\n\tvar missing", "\tvar missing",
			"TestCloseDuringALook",
		},
		{
			"nothing is filled after Close", "G9", "singleflight.go",
			"g.closed || c.abandoned || g.pending.covers(f.key)", "c.abandoned || g.pending.covers(f.key)",
			"TestPutAndClose",
		},
		// Limits.
		{
			"loads are limited", "G9", "limit.go",
			"if len(s.running) < s.limit || w.stuckLocked(c) {", "if true {",
			"TestLoadsWaitInOrder",
		},
		{
			"loads queue in order", "G8", "limit.go",
			"s.queue.PushBack(c)", "s.queue.PushFront(c)",
			"TestLoadsWaitInOrder",
		},
		{
			"a place that is given back is one", "G9", "limit.go",
			"next != nil && len(s.running) < s.limit; next", "next != nil; next",
			"TestLoadsWaitInOrder",
		},
		{
			"a load that has queued takes a place", "G9", "limit.go",
			"\tc.turn.slots.startLocked(c)\n", "",
			"TestLoadsWaitInOrder",
		},
		{
			"loads in the background do not queue", "G9", "load.go",
			"case c.purpose == toRefresh && !r.enterNow(ctx):", "case false:",
			"TestRefreshWithoutAPlaceRests",
		},
		{
			"a refresh that finds no place rests", "G9", "load.go",
			"r.yield(c.flights) // there", "// there",
			"TestRefreshWithoutAPlaceRests",
		},
		{
			"a reader with a stale value does not queue", "G4", "wait.go",
			"queued = c.turn.queued", "",
			"TestWhoHasAValueDoesNotQueue",
		},
		{
			"a load that nobody waits for leaves the queue", "G9", "wait.go",
			"why == hadToQueue && c.begun", "why == hadToQueue",
			"TestWhoHasAValueDoesNotQueue",
		},
		{
			"a load that was queued for goes on once it runs", "G6", "wait.go",
			"|| why == hadToQueue && c.begun", "",
			"TestLoadThatHasQueuedGoesOn",
		},
		{
			"a load that runs has begun", "G6", "singleflight.go",
			"c.begun = c.begun || !c.abandoned", "",
			"TestLoadThatHasQueuedGoesOn",
		},
		{
			"a load that its own waiter keeps from a place does not queue", "G8", "limit.go",
			"if len(s.running) < s.limit || w.stuckLocked(c) {", "if len(s.running) < s.limit {",
			"TestNestedCallThatQueuesTwice",
		},
		{
			"a load that comes to wait for the queue frees it", "G8", "limit.go",
			"\t\tw.relieveLocked(next, seen)\n", "",
			"TestLoadThatComesToWaitForTheQueue",
		},
		{
			"a load that waits for the queue frees it", "G8", "waits.go",
			"\tw.relieveLocked(c, make(map[*call]bool))\n", "",
			"TestNestedLoadsDoNotWaitForTheirOwnPlace",
		},
		// Writes that store.
		{
			"a put has its lease before it writes", "G2", "put.go",
			"\tvalue, err := write(ctx)\n", "\tvalue, err := write(ctx)\n\tp.drop()\n\tp = newPut(ctx, s, key, lives)\n",
			"TestInvalidationByAnotherProcessDuringAPutWins",
		},
		{
			"a put stores nothing while the source may lag", "G2", "put.go",
			"if f.direct || f.ttl() <= 0", "if f.ttl() <= 0",
			"TestPutWithReplicaLag",
		},
		{
			"a put that was not confirmed invalidates", "G1", "put.go",
			"stored = r.store(p.call.flights)", "r.store(p.call.flights)\n\t\tstored = true",
			"TestPutThatCannotStore",
		},
		{
			"a put whose fill was not confirmed invalidates", "G1", "put.go",
			"stored = r.fillLeased(p.call.flights, nil, true) == 1", "r.fillLeased(p.call.flights, nil, true)\n\t\tstored = true",
			"TestPutAndClose",
		},
		{
			"a put whose write panics invalidates", "G1", "put.go",
			"\t\t\tif err := s.Invalidate(p.ctx, key); err != nil {\n\t\t\t\treturn // it", "\t\t\tif err := error(nil); err != nil {\n\t\t\t\treturn // it",
			"TestPutOfAWriteThatFails",
		},
		{
			"a put whose write panics leaves nothing", "G8", "put.go",
			"if !returned { // write panicked\n\t\t\tp.drop()", "if !returned { // write panicked",
			"TestPutOfAWriteThatFails",
		},
		{
			"a put waits for what fills beside it", "G2", "put.go",
			"if other != f && g.endLocked(other) {", "if other != f && g.endLocked(other) && false {",
			"TestFillDuringAPut",
		},
		{
			"who missed before a put asks again", "G6", "put.go",
			"\tf.call.asked = store\n", "",
			"TestReaderThatMissedBeforeAPut",
		},
		{
			"a put outlives its context", "G5", "put.go",
			"p := &put{scope: s, ctx: context.WithoutCancel(ctx), key", "p := &put{scope: s, ctx: ctx, key",
			"TestPutOutlivesItsContext",
		},
		// Invalidations that the store has not confirmed.
		{
			"a read does not ask for what is pending", "G1 G5", "scope.go",
			"if s.flights.bypasses(key) {\n\t\treturn provider.Entry{}, false", "if false {\n\t\treturn provider.Entry{}, false",
			"TestFailedInvalidationIsPending",
		},
		{
			"a read does not ask for a value that is pending", "G1 G5", "scope.go",
			"if s.flights.bypasses(key) {\n\t\treturn nil, provider.Missing", "if false {\n\t\treturn nil, provider.Missing",
			"TestPendingAndValuesWithoutEntries",
		},
		{
			"what is under a pending prefix is pending", "G1 G5", "pending.go",
			"if strings.HasPrefix(key, prefix) {", "if strings.HasPrefix(key, prefix) && false {",
			"TestPendingSetAgainstTwin",
		},
		{
			"a confirmed prefix covers no later invalidation", "G5", "pending.go",
			"if v <= version && strings.HasPrefix(name, prefix) {", "if v+1 > 0 && strings.HasPrefix(name, prefix) {",
			"TestPendingSetAgainstTwin",
		},
		{
			"a confirmed prefix covers its keys", "G4", "pending.go",
			"forgetUnder(p.keys, prefix, version)", "",
			"TestPendingSetAgainstTwin",
		},
		{
			"what is pending in one is as late as the last of it", "G5", "pending.go",
			"p.keys, p.prefixes = nil, map[string]uint64{\"\": latest}", "p.keys, p.prefixes = nil, map[string]uint64{\"\": 0}",
			"TestPendingSetAgainstTwin",
		},
		{
			"pending prefixes are bounded", "G9", "pending.go",
			"|| len(p.prefixes) > maxPendingPrefixes {", "{",
			"TestPendingPrefixesAreBounded",
		},
		{
			"an invalidation has a version of its own", "G5", "singleflight.go",
			"\tg.version++\n", "\n",
			"TestNewerInvalidationDuringARetry",
		},
		{
			"what is confirmed is not pending", "G4", "singleflight.go",
			"g.pending.confirm(confirmed, version)", "",
			"TestSuccessfulInvalidationClearsPending",
		},
		{
			"a scope says that something is pending", "G5", "singleflight.go",
			"g.scopesPending.Add(1)", "",
			"TestPendingScopesAreApart",
		},
		{
			"a scope says that nothing is pending", "G4", "singleflight.go",
			"g.scopesPending.Add(-1)", "",
			"TestPendingScopesAreApart",
		},
		{
			"a key that is being filled is pending", "G2 G5", "invalidate.go",
			"\t\tif confirmed.cover(key) {", "\t\tif false {",
			"TestStuckFill",
		},
		{
			"a store that is left alone is not waited for", "G5", "invalidate.go",
			"remove = leaveAlone // the", "// the",
			"TestInvalidateWhileTheStoreIsLeftAlone",
		},
		{
			"prefixes that were not tried are pending", "G5", "invalidate.go",
			"failed.Prefixes = append(failed.Prefixes, targets.Prefixes[i+1:]...)", "_ = i",
			"TestHangingPrefixesCostOneTimeout",
		},
		{
			"keys that failed are not confirmed", "G5", "invalidate.go",
			"\tif len(other.Keys) > 0 {\n\t\trest.Keys = nil\n\t}\n", "",
			"TestTargetsWithout",
		},
		{
			"prefixes that failed are not confirmed", "G5", "invalidate.go",
			"failed[prefix] = true", "_ = prefix",
			"TestTargetsWithout",
		},
		{
			"what is pending is said", "G5", "invalidate.go",
			"\tif pending.size() > 0 {", "\tif false {",
			"TestFailedInvalidationIsPending",
		},
		{
			"Close tries what is pending", "G5", "cache.go",
			"s.retryOnce(context.Background())", "_ = context.Background",
			"TestCloseWithPending",
		},
		{
			"Close says what is pending", "G5", "cache.go",
			"\tif pending == 0 {\n\t\treturn nil\n\t}\n", "\tif true {\n\t\treturn nil\n\t}\n",
			"TestCloseWithPending",
		},
		{
			"the store holds what may lag", "G2", "invalidate.go",
			"\tif s.lagsThere() {", "\tif false {",
			"TestReplicaLag",
		},
		{
			"the store holds a prefix that may lag", "G2", "invalidate.go",
			"if err == nil && s.lagsThere() {", "if false {",
			"TestReplicaLag",
		},
		{
			"a process knows what may lag", "G2", "singleflight.go",
			"g.lagging.add(targets, now, now.Add(lag))", "_ = now",
			"TestReplicaLagWindow",
		},
		{
			"a process knows the prefixes that may lag", "G2", "hold.go",
			"if now.Before(until) && strings.HasPrefix(key, prefix) {", "if now.Before(until) && strings.HasPrefix(key, prefix) && false {",
			"TestReplicaLag",
		},
		// The store does not fail reads.
		{
			"a caller keeps half of its time for the load", "G4", "backend.go",
			"bound = min(timeout, time.Until(deadline)/2)", "bound = min(timeout, time.Until(deadline))",
			"TestHangingStoreAndImpatientCallers",
		},
		{
			"a store that refuses an entry is well", "G4", "backend.go",
			"errors.Is(err, provider.ErrTooLarge),\n", "",
			"TestRefusalsAreNoFailures",
		},
		{
			"results that cannot be told apart are none", "G4", "backend.go",
			"if len(results) != len(keys) {", "if false {",
			"TestWrongNumberOfResults",
		},
	}
}
