package mutants

// servingMutants are those of stale values, refreshes, remembered failures, limits on
// loads, and writes that store what they have written.
func servingMutants() []mutant {
	return []mutant{
		{
			"a load that its own waiter keeps from its turn runs", "G6", "limit.go",
			"if next.turn.place != nil && w.stuckLocked(next) {", "if false {",
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
			"\tr.removeGone(ctx, flights)\n", "",
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
			"case f.decided.unstored:\n\t\treturn 0\n", "",
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
			"if s.flights.bypasses(r.keys[i]) {", "if false {",
			"TestFailedInvalidationIsPending",
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
			"len(missing)), stored: r.stored}", "len(missing)), stored: s.flights.stored.Load()}",
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
			"\tc = g.createLocked(&r, missing)\n\tc.detached = true\n", "\tc = g.createLocked(&r, missing)\n",
			"TestRefreshThatWasJoinedGoesOn",
		},
		{
			"a refresh that failed is not tried at once", "G6", "singleflight.go",
			"&& !g.failures.rests(key, now) {", "&& !now.IsZero() {",
			"TestRetryAfterDoubles",
		},
		{
			"an absence that is stored removes no lease", "G6", "load.go",
			"!f.direct && f.ttl() < 0 {", "!f.direct {",
			"TestStaleValueAndAbsence",
		},
		{
			"what a load does not want stored removes nothing", "G4", "load.go",
			"!f.direct && f.ttl() < 0 {", "!f.direct && f.ttl() <= 0 {",
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
			"} else if err := s.flights.failed(key); err != nil {", "} else if err := s.flights.failed(key); err != nil && false {",
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
			"\t\tuntil:   now.Add(backoff(options.ErrorTTL, count)),\n\t}\n\tif len(f.keys) > maxFailures {", "\t\tuntil:   now.Add(backoff(options.ErrorTTL, count)),\n\t}\n\tif false {",
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
	}
}
