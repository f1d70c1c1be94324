package mutants

// servingMutants are those of stale values, refreshes, remembered failures, limits on
// loads, and writes that store what they have written.
func servingMutants() []mutant {
	return []mutant{
		{
			"a load gives its place back, whatever becomes of it", "G8 G9", "call.go",
			"\tc.scope.graph.Exit(&c.node)\n\tif c.scope.backend.Leaser", "\tif c.scope.backend.Leaser",
			"TestPlacesAreNotLost",
		},
		{
			"what is gone from the source goes from the store, stale or not", "G1", "call.go",
			"\tc.removeGone(flights)\n", "",
			"TestStaleValueAndAbsence",
		},
		{
			"a refresh is not served what it is to replace", "G1", "read.go",
			"if (is == early || is == stale) && isLoadOf(ctx, i.key) {", "if false {",
			"TestRefreshThatReadsItsOwnKey",
		},
		{
			"stale values end", "G1", "freshness.go",
			"case past < o.StaleWhileRevalidate:", "case past <= o.StaleWhileRevalidate:",
			"TestFreshness",
		},
		{
			"values for failures end", "G1", "freshness.go",
			"case past < o.StaleIfError:", "case past <= o.StaleIfError:",
			"TestFreshness",
		},
		{
			"an invalidation forgets the failure of its key", "G1", "failures.go",
			"\t\tf.drop(key)\n\t}\n\tfor _, prefix := range targets.Prefixes {", "\t\t_ = key\n\t}\n\tfor _, prefix := range targets.Prefixes {",
			"TestErrorTTL",
		},
		{
			"an invalidation by prefix forgets failures", "G1", "failures.go",
			"f.names.RemovePrefix(prefix, func(key string) { delete(f.keys, key) })", "_ = prefix",
			"TestErrorTTL",
		},
		{
			"failures are forgotten without a walk through all", "G9", "failures.go",
			"f.names.RemovePrefix(prefix, func(key string) { delete(f.keys, key) })",
			"for key := range f.keys {\n\t\t\tif strings.HasPrefix(key, prefix) {\n\t\t\t\tf.drop(key)\n\t\t\t}\n\t\t}",
			"TestForgetAmongManyFailures",
		},
		{
			"a failure that goes leaves the sorted keys, too", "G9", "failures.go",
			"\t\tf.names.Remove(key)\n", "",
			"TestFailuresAreBounded",
		},
		{
			"a key that fails again is kept once", "G9", "failures.go",
			"\t\t*known = last\n\t\treturn\n", "\t\t*known = last\n",
			"TestKnownFailureIsKeptOnce",
		},
		{
			"a recent invalidation is noted without a walk through all", "G9", "pending.go",
			"for e := l.order.Front(); e != nil && !now.Before(untilOf(e)); e = l.order.Front() {",
			"for x := l.order.Front(); x != nil; x = x.Next() {\n\t\t_ = x\n\t}\n\tfor e := l.order.Front(); e != nil && !now.Before(untilOf(e)); e = l.order.Front() {",
			"TestInvalidateAmongManyRecentKeys",
		},
		{
			"a key that is invalidated again lags longer", "G2", "pending.go",
			"\t\tl.order.MoveToBack(known)\n", "",
			"TestLaggingSetAgainstTwin",
		},
		{
			"a failure from before an invalidation is not remembered", "G1", "singleflight.go",
			"if f.fence.ended || g.options", "if g.options",
			"TestFailureFromBeforeAnInvalidation",
		},
		{
			"a refresh of another process is not tried again at once", "G6", "lease.go",
			"\t\tc.backOff(busy)\n", "",
			"TestRefreshOfAnotherProcessIsLeftAlone",
		},
		{
			"what a load does not want stored is not", "G2", "fill.go",
			"\t\tif d.unstored {\n\t\t\treturn storeNothing, 0\n\t\t}\n", "",
			"TestLoadDecidesHowLongItIsStored",
		},
		{
			"a key has one refresh at a time", "G6", "singleflight.go",
			"\t\tif i.flight = g.joinableLocked(i.key, toRead); i.flight != nil {\n\t\t\tcontinue\n\t\t}\n\t\tif g.bypassLocked(i.key)", "\t\ti.flight = nil\n\t\tif g.bypassLocked(i.key)",
			"TestOneRefreshPerKey",
		},
		{
			"Refresh takes only what was loaded since it began", "G1", "fence.go",
			"if r.purpose == toReplace && r.began >= f.began && f.call != r.own {", "if false {",
			"TestRefreshAndTheLoadsOfOthers",
		},
		{
			"nobody joins a put", "G1", "singleflight.go",
			"for f != nil && f.call.purpose == toPut {", "for false {",
			"TestPutHidesNoLoad",
		},
		{
			"a put invalidates before its write", "G1 G2", "put.go",
			"\tif _, err := s.invalidate(p.ctx, Targets{Keys: []string{key}}); err != nil {\n\t\treturn p\n\t}\n", "",
			"TestPut",
		},
		{
			"a put does not store beside a fill under way", "G2", "fence.go",
			"\tif g.endOthersLocked(f) {\n\t\treturn false\n\t}", "\tg.endOthersLocked(f)",
			"TestFillDuringAPut",
		},
		{
			"a put that changes nothing releases its lease", "G6", "put.go",
			"\tc.renewal.stop()\n\tc.settle()\n", "\tc.renewal.stop()\n",
			"TestPutOfNoChangeLeavesNoLease",
		},
		{
			"an invalidation during a put wins", "G2", "fence.go",
			"f.fence, store = f.fence.fill()", "f.fence, store = fence{phase: phaseFilling}, true",
			"TestInvalidationDuringAPutWins",
		},
		// Reads of many keys.
		{
			"a bulk read does not ask for what is pending", "G1 G5", "read.go",
			"\t\tif g.bypasses(i.key) {", "\t\tif false {",
			"TestFailedInvalidationIsPending",
		},
		{
			"a bulk read does not ask for values that are pending", "G1 G5", "wrapmany.go",
			"bypass := g.bypasses(r.keys[n])", "bypass := false",
			"TestPendingAndValuesWithoutEntries",
		},
		{
			"a bulk load has ids of its own", "G7", "wrapmany.go",
			"r.ids, r.owned = slices.Clone(r.ids), true", "r.owned = true",
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
			"a bulk load gets ids in their order", "G6", "read.go",
			"slices.SortFunc(r.items, func(a, b item) int { return a.index - b.index })", "_ = slices.SortFunc[[]item]",
			"TestBulkLoadWithPendingInvalidationsInOrder",
		},
		{
			"values of a store that panicked are not used", "G4", "wrapmany.go",
			"if err := r.scope.backend.GetValues(keys, values); err != nil {", "if err := r.scope.backend.GetValues(keys, values); err != nil && false {",
			"TestGetValuesThatPanics",
		},
		{
			"a read takes no outcome that is older than the read", "G1", "fence.go",
			"i.late = gone[f.call] == nil && !(f.outcome.known && f.mayTake(r))", "i.late = gone[f.call] == nil && !f.outcome.known",
			"TestReaderDoesNotJoinWhatAnotherProcessInvalidated",
		},
		{
			"absences have a bound, too", "G1", "fence.go",
			"if f.outcome.failed() {", "if f.outcome.err != nil {",
			"TestWhatALateReaderTakes",
		},
		{
			"a load that failed has failed for all its readers", "G8", "fence.go",
			"if f.outcome.failed() {", "if false {",
			"TestWhatALateReaderTakes",
		},
		{
			"a read began when it began, however often it tries", "G6", "singleflight.go",
			"if r.began == 0 {", "if true {",
			"TestReaderIsTooLateOnce",
		},
		{
			"a bulk reader notes what was stored before it looks", "G6", "wrapmany.go",
			"r.look(ctx)\n\tif len(r.items) == 0 {", "r.look(ctx)\n\tr.stored = r.scope.flights.stored.Load()\n\tif len(r.items) == 0 {",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		{
			"a stored entry of another type is a miss in bulk", "G4", "read.go",
			"\tif err := r.target.put(i, entry.Value, source, entry.LoadedAt, nil); err != nil {\n\t\tr.scope.report(ctx, opGet, i.key, err)\n\t\treturn false\n\t}", "\tif err := r.target.put(i, entry.Value, source, entry.LoadedAt, nil); err != nil {\n\t\tr.scope.report(ctx, opGet, i.key, err)\n\t}",
			"TestStoredValueOfAnotherType",
		},
		{
			"a stored entry of another type is a miss", "G4", "wrap.go",
			"\t\ts.report(ctx, opGet, key, err)\n\t\treturn value, nil, false, nil\n", "\t\ts.report(ctx, opGet, key, err)\n",
			"TestStoredValueOfAnotherType",
		},
		{
			"a stored value of another type is a miss", "G4", "wrap.go",
			"l.is = provider.Unsure", "l.is = provider.Present",
			"TestStoredValueOfAnotherType",
		},
		{
			"what others load as another type is loaded again", "G4", "read.go",
			"\t\t\tr.scope.report(ctx, opGet, i.key, err)\n\t\t\tfallthrough\n", "\t\t\tr.scope.report(ctx, opGet, i.key, err)\n",
			"TestFlightOfAnotherType",
		},
		{
			"a bulk load that failed is one error", "G8", "read.go",
			"l.of[c], l.left = err, l.left || ended", "l.left = l.left || ended",
			"TestPanicAffectsOnlyTheKeysOfItsCall",
		},
		{
			"a bulk reader that leaves several loads gets one error", "G8", "read.go",
			"l.of[c], l.left = err, l.left || ended", "l.of[c] = err",
			"TestBulkReaderLeavesSeveralCalls",
		},
		{
			"a bulk load that failed is one error later, too", "G8", "read.go",
			"if !slices.ContainsFunc(l.list, func(other error) bool { return same(other, err) }) {", "if true {",
			"TestRememberedErrorOfABulkLoad",
		},
		{
			"a bulk read waits for its other loads if one ends", "G8", "leave.go",
			"\t\t\tj.gone[c] = err\n", "\t\t\tj.gone[c] = err\n\t\t\tbreak\n",
			"TestBulkReaderLeavesSeveralCalls",
		},
		{
			"a load that has brought a part is not over", "G7", "lease.go",
			"c.load(ready, len(busy) == 0)", "c.load(ready, true)",
			"TestLeavingACallThatHasLoadedAPart",
		},
		// Stale values and values for failures.
		{
			"a bulk read has replaced what is due", "G6", "read.go",
			"\t\tr.lookMany(ctx)\n\t}\n\tr.refresh(ctx)\n", "\t\tr.lookMany(ctx)\n\t}\n",
			"TestStaleBoundaries",
		},
		{
			"a read has replaced what is due", "G6", "wrap.go",
			"\t\tr.refresh(ctx)\n", "",
			"TestStaleBoundaries",
		},
		{
			"what has ended is no value for failures", "G1", "read.go",
			"if is == ifError {", "if is >= ifError {",
			"TestValueThatOthersKeepForLonger",
		},
		{
			"a value for failures is not served at once", "G1", "read.go",
			"\t\tr.keepFallback(ctx, i, entry)\n\t\treturn false", "\t\tr.keepFallback(ctx, i, entry)",
			"TestStaleBoundaries",
		},
		{
			"a scope that loads ahead looks at entries", "G6", "keyspace.go",
			"s.quick = e.backend.Values != nil && !options.loadsAhead()", "s.quick = e.backend.Values != nil",
			"TestHitsAskForValues",
		},
		{
			"a scope with XFetchBeta loads ahead", "G6", "options.go",
			"return o.RefreshAheadFactor > 0 || o.XFetchBeta > 0", "return o.RefreshAheadFactor > 0",
			"TestHitsAskForValues",
		},
		{
			"a hit of a scope with stale values asks for the value alone", "G9", "keyspace.go",
			"s.quick = e.backend.Values != nil && !options.loadsAhead()", "s.quick = e.backend.Values != nil && !options.ages()",
			"TestHitsAskForValues",
		},
		{
			"a load takes from the store only what is fresh", "G1", "call.go",
			"c.scope.freshness(entry) <= early {", "true {",
			"TestWhatWasRemovedIsNoOldValue",
		},
		{
			"absences are not served stale", "G1", "freshness.go",
			"case entry.Absent && past >= o.StaleIfError:\n\t\treturn expired\n\tcase entry.Absent:\n\t\treturn ifError\n", "case entry.Absent && past >= o.StaleIfError:\n\t\treturn expired\n",
			"TestFreshness",
		},
		{
			"absences for failures end", "G1", "freshness.go",
			"case entry.Absent && past >= o.StaleIfError:", "case false:",
			"TestFreshness",
		},
		{
			"absences stay for failures only", "G9", "freshness.go",
			"\tif entry.Absent {\n\t\tstaleFor = o.StaleIfError\n\t}\n", "",
			"TestKeep",
		},
		{
			"stale values leave the store", "G9", "freshness.go",
			"return min(ttl, NoExpiry-1-staleFor) + staleFor", "return NoExpiry",
			"TestStaleValuesLeaveTheStore",
		},
		{
			"an absence is served instead of a stale value", "G1", "read.go",
			"if err == nil && !i.late && o.failed() {", "if err == nil && !i.late && o.err != nil {",
			"TestAbsenceComesBeforeAStaleValue",
		},
		{
			"a stale value is served instead of a remembered error", "G4", "read.go",
			"if !i.hasFallback() || !r.fallBack(ctx, &i.item, i.err) {", "if true {",
			"TestRetryAfterDoubles",
		},
		{
			"a read falls back on a stale value", "G4", "read.go",
			"case err != nil && i.hasFallback() && mayFallBack(ctx, err) && r.fallBack(ctx, i, err):", "case false:",
			"TestStaleBoundaries",
		},
		{
			"a reader that has left a load takes its stale value", "G4", "read.go",
			"case err != nil && i.hasFallback() && mayFallBack(ctx, err) && r.fallBack(ctx, i, err):", "case err != nil && left == nil && i.hasFallback() && mayFallBack(ctx, err) && r.fallBack(ctx, i, err):",
			"TestSoftLoadTimeout",
		},
		{
			"a reader whose context has ended gets its error", "G7", "read.go",
			"return ctx.Err() == nil && !errors", "return !errors",
			"TestStillLoadingIsNotReturned",
		},
		{
			"a bulk read waits for what it has no stale value for", "G4", "read.go",
			"if r.items[i].flight.call == c && !r.items[i].hasFallback() {", "if r.items[i].flight.call == c && !r.items[i].hasFallback() && false {",
			"TestSoftLoadTimeoutOfABulkRead",
		},
		{
			"a slow load is left for a stale value", "G4", "leave.go",
			"\t\t\tsoft = timer.C\n", "",
			"TestSoftLoadTimeout",
		},
		{
			"the patience with a load begins with it", "G4", "leave.go",
			"time.NewTimer(time.Until(c.created.Add(g.options.SoftLoadTimeout)))", "time.NewTimer(g.options.SoftLoadTimeout)",
			"TestSoftLoadTimeout",
		},
		{
			"a load that was left for a stale value goes on", "G7", "leave.go",
			"why == softTimeout || why", "why",
			"TestSoftLoadTimeout",
		},
		{
			"a refresh knows what it is to replace", "G6", "read.go",
			"\t\ti.replace(entry.LoadedAt)\n\t\tr.toRefresh", "\t\tr.toRefresh",
			"TestStaleBoundaries",
		},
		{
			"a refresh does not take what it is to replace", "G6", "call.go",
			"known := !f.replaces.IsZero() && entry.LoadedAt.Equal(f.replaces)", "known := false",
			"TestStaleBoundaries",
		},
		{
			"a load in the background ends with no reader", "G7", "singleflight.go",
			"toRefresh, stored)\n\tc.begin(ctx, g.options)\n\tc.detachLocked(g.options)\n", "toRefresh, stored)\n\tc.begin(ctx, g.options)\n",
			"TestRefreshThatWasJoinedGoesOn",
		},
		{
			"a refresh that failed is not tried at once", "G6", "singleflight.go",
			"|| g.failures.backsOff(i.key, now) {", "|| now.IsZero() {",
			"TestRetryAfterDoubles",
		},
		{
			"an absence that is stored removes no lease", "G6", "fill.go",
			"return what == removeEntry", "return what == removeEntry || f.outcome.entry.Absent && !f.bypass && !f.replaces.IsZero() && what == storeEntry",
			"TestStaleValueAndAbsence",
		},
		{
			"what a load does not want stored removes nothing", "G4", "fill.go",
			"\t\tif d.unstored {\n\t\t\treturn storeNothing, 0\n\t\t}\n", "\t\tif d.unstored {\n\t\t\tttl, d = 0, new(decisions)\n\t\t}\n",
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
			"count := f.of(key).count + 1", "count := 1",
			"TestErrorTTL",
		},
		{
			"a remembered error ends", "G8", "failures.go",
			"if now.Before(until) {", "if now.Before(until) || true {",
			"TestErrorTTL",
		},
		{
			"a read asks for failures in the moment in which it joins", "G6", "singleflight.go",
			"if len(g.failures.keys) == 0 || r.purpose == toReplace {", "if true {",
			"TestFailureJustBeforeALoad",
		},
		{
			"a read takes a remembered error", "G6", "singleflight.go",
			"if err := g.failures.instead(i.key, i.hasFallback(), now); err != nil {", "if err := g.failures.instead(i.key, i.hasFallback(), now); err != nil && i.hasFallback() {",
			"TestErrorTTL",
		},
		{
			"a read with a stale value does not ask a source that has just failed", "G6", "failures.go",
			"\tif hasFallback {\n\t\tuntil = last.retryAt\n\t}\n", "",
			"TestRetryAfterDoubles",
		},
		{
			"a read with a stale value asks again after RetryAfter, however long ErrorTTL is", "G4", "failures.go",
			"\tif hasFallback {\n\t\tuntil = last.retryAt\n\t}\n", "",
			"TestStaleValueComesBeforeARememberedError",
		},
		{
			"a pause after a failure ends", "G1", "failures.go",
			"return now.Before(f.of(key).retryAt)", "return !f.of(key).retryAt.IsZero()",
			"TestRetryAfterDoubles",
		},
		{
			"a success ends a pause", "G6", "singleflight.go",
			"case f.outcome.known && !f.outcome.failed() && len(g.failures.keys) > 0:", "case false:",
			"TestRetryAfterDoubles",
		},
		{
			"an absence is no failure", "G8", "singleflight.go",
			"case f.outcome.failed() && !f.outcome.private:", "case f.outcome.err != nil:",
			"TestWhatIsRemembered",
		},
		{
			"a timeout is a failure", "G6", "leave.go",
			"if cause := c.cause(); errors.Is(cause, ErrLoadTimeout) {", "if cause := c.cause(); false {",
			"TestWhatIsRemembered",
		},
		{
			"that readers left is no failure", "G7", "leave.go",
			"if cause := c.cause(); errors.Is(cause, ErrLoadTimeout) {", "if cause := joinErrors(c.cause(), context.Canceled); cause != nil {",
			"TestWhatIsRemembered",
		},
		{
			"a timeout is a failure of a load that was left, too", "G6", "leave.go",
			"c.waiters == 0 && !c.detached || cause != nil", "c.waiters == 0 && !c.detached",
			"TestTimeoutOfALoadThatWasLeft",
		},
		{
			"a refresh that finds no place hides no error", "G8", "failures.go",
			"if last.err == nil {", "if true {",
			"TestErrorIsRememberedWhileARefreshRests",
		},
		{
			"remembered failures are bounded", "G9", "failures.go",
			"if len(f.keys) > maxFailures {", "if false {",
			"TestFailuresAreBounded",
		},
		{
			"what makes room is what is over", "G6", "failures.go",
			"if !now.Before(failure.retryAt) && !now.Before(failure.until) {", "if !now.Before(failure.until) {",
			"TestFailuresThatAreNotOver",
		},
		{
			"Refresh asks though the last load failed", "G8", "singleflight.go",
			"|| r.purpose == toReplace {", "{",
			"TestRefreshThatFails",
		},
		// Leases of what is stored.
		{
			"a load does not look at what is pending", "G1 G5", "call.go",
			"return bypassing, filter(c.flights, func(f *flight) bool { return !f.bypass })", "return nil, c.flights",
			"TestLoadWhilePendingDoesNotSeeTheStore",
		},
		{
			"a load of what may lag is not stored without leases", "G2", "fill.go",
			"if f.bypass || o.failed() {", "if o.failed() {",
			"TestReplicaLag",
		},
		{
			"what was removed is no old value", "G1", "lease.go",
			"if f.old = nil; g.Found {", "if g.Found {",
			"TestWhatWasRemovedIsNoOldValue",
		},
		{
			"a value of another type is no old value", "G4", "call.go",
			"!entry.Absent && c.loader.isLoaded(entry.Value)", "!entry.Absent",
			"TestOldValueIsOfItsType",
		},
		{
			"an absence is no old value", "G4", "call.go",
			"!entry.Absent && c.loader.isLoaded(entry.Value)", "c.loader.isLoaded(entry.Value)",
			"TestOldValueIsOfItsType",
		},
		{
			"only what is stored is confirmed", "G1", "load.go",
			"\t\tif l.flight.old == nil {", "\t\tif false {",
			"TestBadDecisions",
		},
		{
			"a load that failed confirms nothing", "G8", "call.go",
			"if d.unmodified && f.old != nil && (err == nil || len(f.call.flights) > 1) {", "if d.unmodified && f.old != nil {",
			"TestNotModifiedAndAnError",
		},
		{
			"decisions that make no sense fail the load", "G10", "call.go",
			"if d.err != nil && !o.failed() {", "if false {",
			"TestBadDecisions",
		},
		{
			"a load decides its TTL", "G2", "fill.go",
			"if d.isTTL {", "if false {",
			"TestLoadDecidesHowLongItIsStored",
		},
		{
			"what comes after the timeout is dropped", "G7", "call.go",
			"case errors.Is(cause, ErrLoadTimeout):\n\t\terr = timedOut(flights, err)", "case false:\n\t\terr = timedOut(flights, err)",
			"TestLoadTimeoutIsExact",
		},
		{
			"what is said after the timeout is dropped", "G7", "call.go",
			"f.outcome, f.decided = outcome{}, nil", "f.outcome = outcome{}",
			"TestDecisionsAfterTheTimeoutInTheBackground",
		},
		{
			"nothing is filled without a lease", "G2", "lease.go",
			"candidates := filter(storable, func(f *flight) bool { return f.lease != nil })", "candidates := filter(storable, func(f *flight) bool {\n\t\tif f.lease == nil {\n\t\t\tf.lease = &provider.Lease{Key: c.scope.key(f.key)}\n\t\t}\n\t\treturn true\n\t})",
			"TestNothingIsFilledWithoutALease",
		},
		{
			"a lease lasts as long as its load may", "G6", "lease.go",
			"return max(s.engine.options.LeaseTTL, s.options.LoadTimeout)", "return s.engine.options.LeaseTTL",
			"TestLeaseLastsAsLongAsItsLoad",
		},
		{
			"a refresh does not wait for a lease", "G6", "lease.go",
			"if c.purpose == toRefresh {", "if false {",
			"TestRefreshOfAnotherProcessIsLeftAlone",
		},
		{
			"what others replace again and again is theirs", "G6", "lease.go",
			"f.claim = claimBusy", "f.claim = claimLoad",
			"TestWhatOthersReplaceIsLeftToThem",
		},
		{
			"what others have stored is not removed", "G6", "lease.go",
			"case c.scope.backend.Refresher != nil && f.replaces.Equal(g.Entry.LoadedAt) && !f.replaces.IsZero():", "case false:",
			"TestWhatOthersReplaceIsLeftToThem",
		},
		{
			"Refresh gets its lease whatever others store", "G6", "lease.go",
			"LoadedAt: f.replaces, Force: force}", "LoadedAt: f.replaces}",
			"TestRefreshOfWhatOthersReplace",
		},
		{
			"a fresh value beside a lease is taken", "G6", "lease.go",
			"if g.Found && c.take(f, &g.Entry) {", "if false {",
			"TestFreshValueBesideALease",
		},
		{
			"what cannot be read makes room", "G4", "lease.go",
			"if errors.Is(g.Err, provider.ErrUndecodable) {", "if false {",
			"TestWhatCannotBeReadIsReplaced",
		},
		{
			"what is of unknown age and type makes room", "G4", "lease.go",
			"f.replaces.Equal(g.Entry.LoadedAt) && !f.replaces.IsZero():", "f.replaces.Equal(g.Entry.LoadedAt):",
			"TestWhatCannotBeReadIsReplaced",
		},
		{
			"what is held is not waited for", "G4", "lease.go",
			"case provider.LeaseHeld:\n\t\treturn claimLoad", "case provider.LeaseHeld:\n\t\treturn claimBusy",
			"TestReplicaLag",
		},
		{
			"a fill that is not answered releases its lease", "G6", "lease.go",
			"\t\t\tunanswered = append(unanswered, f)\n", "",
			"TestFailedFillLeavesTheLease",
		},
		{
			"a caller with little time waits less for a lease", "G4", "lease.go",
			"wait, _ := backend.Bound(ctx, c.scope.engine.options.LeaseWait)", "wait := c.scope.engine.options.LeaseWait",
			"TestImpatientCallerAndBusyLease",
		},
		{
			"a caller with little time waits less for the store", "G4", "call.go",
			"if c.readerDeadline.IsZero() {", "if true {",
			"TestImpatientCallerAndHangingLeases",
		},
		{
			"waiting for a lease ends with its readers", "G7", "lease.go",
			"!sleep(ctx, min(", "!sleep(context.WithoutCancel(ctx), min(",
			"TestLoadAfterEverybodyLeft",
		},
		{
			"a load queues before it takes its lease", "G6", "call.go",
			"case s.graph.Enter(ctx, &c.node) != nil:", "case false:",
			"TestLeaseDoesNotWaitInTheQueue",
		},
		// Readers and their loads.
		{
			"a flight does not hide an older one of its key", "G2", "singleflight.go",
			"\t\t\tf.next = g.live[i.key]\n", "",
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
			"if f.fence.phase == phaseFilling && c.fill == fillSent {", "if false {",
			"TestStuckFill",
		},
		{
			"nobody joins a load that has landed", "G1", "singleflight.go",
			"f.fence, _ = f.fence.end()", "",
			"TestResultOfAStuckFillGetsOld",
		},
		{
			"a fill that returns late is forgotten", "G9", "singleflight.go",
			"\tif c.stage == stageLanded {\n\t\tg.retireLocked(c)\n\t}\n", "",
			"TestStuckFill",
		},
		{
			"a result is there before it is stored", "G7", "fence.go",
			"\tg.loadedLocked(c, last)\n\tstore = filter(", "\tstore = filter(",
			"TestResultThatIsThereWinsOverAnEndedContext",
		},
		{
			"a result is there before it is stored under a lease", "G7", "fence.go",
			"\tg.loadedLocked(c, last)\n\tg.clock++", "\tg.clock++",
			"TestResultThatIsBeingFilledWins",
		},
		{
			"a timeout does not end what has loaded", "G6", "leave.go",
			"\tif c.stage < stageLoaded {\n\t\tg.abandonLocked(c)\n\t\treturn true\n\t}\n\treturn purpose == toReplace", "\tg.abandonLocked(c)\n\treturn true",
			"TestReaderAfterTheTimeoutDuringAFill",
		},
		{
			"nobody joins a load that is over", "G7", "leave.go",
			"\tselect {\n\tcase <-c.over:\n\tdefault:\n\t\treturn false\n\t}\n", "\tif true {\n\t\treturn false\n\t}\n",
			"TestLoadTimeoutWhileItsReaderWaitsForAnotherLoad",
		},
		{
			"the end of a load sends its readers away", "G7", "leave.go",
			"\tcase <-c.over:\n\t\tswitch {\n\t\tcase c.final.Load():", "\tcase <-c.over:\n\t\tif landing := g.landingOf(c); landing != nil {\n\t\t\t<-landing\n\t\t}\n\t\tswitch {\n\t\tcase true || c.final.Load():",
			"TestLoadTimeoutIsExact",
		},
		{
			"a fill has a deadline of its own", "G7", "fill.go",
			"c.scope.backend.SetOne(&c.values, &item, c)", "c.scope.backend.SetOne(c.ctx, &item, c)",
			"TestFillIsNotBoundedByTheLoadTimeout",
		},
		{
			"a reader that joins a load is one of its readers", "G7", "singleflight.go",
			"\t\tc.waiters++\n", "\t\t_ = c\n",
			"TestLoadKeepsValuesAndDropsCancellation",
		},
		{
			"a load that is over wakes who waits, and its context ends", "G7 G9", "singleflight.go",
			"\tc.final.Store(true)\n\tc.cancel(context.Canceled)", "\tc.final.Store(true)",
			"TestContextOfALoadEndsWithIt",
		},
		{
			"a read that would wait for itself leaves its loads", "G7 G9", "leave.go",
			"if c.waiters--; c.waiters == 0 && c.stage < stageLoaded && !c.detached {", "if c.waiters--; false {",
			"TestRecursiveLoadLeavesItsOtherLoads",
		},
		{
			"a load in the background that reads its own key goes on", "G7", "leave.go",
			"c.waiters == 0 && c.stage < stageLoaded && !c.detached {", "c.waiters == 0 && c.stage < stageLoaded {",
			"TestRecursiveRefreshGoesOn",
		},
		{
			"a fill is counted", "G6", "singleflight.go",
			"\tif c.fill != fillNone {\n\t\tg.stored.Add(1)\n\t}\n", "",
			"TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad",
		},
		{
			"Refresh looks at what it replaces", "G6", "singleflight.go",
			"purpose != toRead && purpose != toPut ||", "purpose == toRefresh ||",
			"TestRefreshOfWhatIsGone",
		},
		{
			"Refresh takes nothing that is stored", "G1", "read.go",
			"if len(r.items) > 0 && r.purpose != toReplace {", "if len(r.items) > 0 {",
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
			"\tif g.closed {\n\t\treturn joined{}, ErrClosed\n\t}\n", "",
			"TestCloseDuringALook",
		},
		{
			"nothing is loaded in the background after Close", "G9", "singleflight.go",
			"\tif g.closed {\n\t\treturn nil\n\t}\n\tmissing := 0", "\tmissing := 0",
			"TestCloseDuringALook",
		},
		{
			"nothing is filled after Close", "G9", "fence.go",
			"g.closed || c.abandoned || g.pending.covers(f.key)", "c.abandoned || g.pending.covers(f.key)",
			"TestPutAndClose",
		},
		// Limits.
		{
			"loads in the background do not queue", "G9", "call.go",
			"case c.purpose == toRefresh && !s.graph.TryEnter(&c.node):", "case false:",
			"TestRefreshWithoutAPlaceRests",
		},
		{
			"a refresh that finds no place is not tried again at once", "G9", "call.go",
			"c.backOff(c.flights)", "",
			"TestRefreshWithoutAPlaceRests",
		},
		{
			"a reader with a stale value does not queue", "G4", "leave.go",
			"queued = c.node.Queued()", "",
			"TestWhoHasAValueDoesNotQueue",
		},
		{
			"a load that nobody waits for leaves the queue", "G9", "leave.go",
			"why == isQueued && c.stage == stageLoading", "why == isQueued",
			"TestWhoHasAValueDoesNotQueue",
		},
		{
			"a load that was queued for goes on once it runs", "G6", "leave.go",
			"|| why == isQueued && c.stage == stageLoading", "",
			"TestLoadThatHasQueuedGoesOn",
		},
		{
			"a load that runs has begun", "G6", "fence.go",
			"\tif !c.abandoned {\n\t\tc.stage = max(c.stage, stageLoading)\n\t}\n", "",
			"TestLoadThatHasQueuedGoesOn",
		},
		// Writes that store.
		{
			"a put has its lease before it writes", "G2", "put.go",
			"\tvalue, err := write(ctx)\n", "\tvalue, err := write(ctx)\n\tp.drop()\n\tp = newPut(ctx, &s.keyspace, key, ttls)\n",
			"TestInvalidationByAnotherProcessDuringAPutWins",
		},
		{
			"a put stores nothing while the source may lag", "G2", "put.go",
			"case !isStorable(f) || leases && f.lease == nil:", "case leases && f.lease == nil:",
			"TestPutWithReplicaLag",
		},
		{
			"a put that was not confirmed invalidates", "G1", "put.go",
			"stored = c.store(c.flights)", "c.store(c.flights)\n\t\tstored = true",
			"TestPutThatCannotStore",
		},
		{
			"a put whose fill was not confirmed invalidates", "G1", "put.go",
			"return c.fillLeased(c.flights, nil, true) == 1", "c.fillLeased(c.flights, nil, true)\n\t\treturn true",
			"TestPutAndClose",
		},
		{
			"a put whose write panics invalidates", "G1", "put.go",
			"\t\tif err := s.Invalidate(p.ctx, p.key); err != nil {\n\t\t\ts.report", "\t\tif err := error(nil); err != nil {\n\t\t\ts.report",
			"TestPutOfAWriteThatFails",
		},
		{
			"a put whose write panics leaves nothing", "G8", "put.go",
			"\t}()\n\tp.drop()\n", "\t}()\n",
			"TestPutOfAWriteThatFails",
		},
		{
			"a put waits for what fills beside it", "G2", "fence.go",
			"if other != f && g.endLocked(other) {", "if other != f && g.endLocked(other) && false {",
			"TestFillDuringAPut",
		},
		{
			"a reader that missed before a put looks again", "G6", "fence.go",
			"\tg.fillingLocked(f.call, store)\n", "",
			"TestReaderThatMissedBeforeAPut",
		},
		{
			"a put whose fill does not return is waited for", "G2 G5", "fence.go",
			"\tg.fillingLocked(f.call, store)\n", "",
			"TestPutThatIsStuck",
		},
		{
			"a put outlives its context", "G5", "put.go",
			"p := &put{scope: s, ctx: context.WithoutCancel(ctx), key", "p := &put{scope: s, ctx: ctx, key",
			"TestPutWithAnEndedContext",
		},
		// Invalidations that the store has not confirmed.
		{
			"a read does not ask for what is pending", "G1 G5", "keyspace.go",
			"if s.flights.bypasses(key) {\n\t\treturn provider.Entry{}, false", "if false {\n\t\treturn provider.Entry{}, false",
			"TestFailedInvalidationIsPending",
		},
		{
			"a read does not ask for a value that is pending", "G1 G5", "keyspace.go",
			"if s.flights.bypasses(key) {\n\t\treturn nil, provider.Missing", "if false {\n\t\treturn nil, provider.Missing",
			"TestPendingAndValuesWithoutEntries",
		},
		{
			"what is under a pending prefix is pending", "G1 G5", "pending.go",
			"if strings.HasPrefix(key, prefix) && counts(v) {", "if strings.HasPrefix(key, prefix) && counts(v) && false {",
			"TestPendingSetAgainstTwin",
		},
		{
			"a confirmed prefix covers no later invalidation", "G5", "pending.go",
			"return v <= version && strings.HasPrefix(name, prefix)", "return strings.HasPrefix(name, prefix)",
			"TestPendingSetAgainstTwin",
		},
		{
			"a confirmed prefix covers its keys", "G4", "pending.go",
			"range []map[string]V{c.keys, c.prefixes} {", "range []map[string]V{c.prefixes} {",
			"TestPendingSetAgainstTwin",
		},
		{
			"what is pending in one is as late as the last of it", "G5", "pending.go",
			"p.coverAll(latest)", "p.coverAll(0)",
			"TestPendingSetAgainstTwin",
		},
		{
			"pending prefixes are bounded", "G9", "pending.go",
			"return c.size() <= c.limit && len(c.prefixes) <= maxPrefixes", "return c.size() <= c.limit",
			"TestPendingPrefixesAreBounded",
		},
		{
			"an invalidation has a version of its own", "G5", "invalidation.go",
			"\tg.version++\n", "\n",
			"TestNewerInvalidationDuringARetry",
		},
		{
			"what is confirmed is not pending", "G4", "invalidation.go",
			"g.pending.confirm(confirmed, begun.version)", "",
			"TestSuccessfulInvalidationClearsPending",
		},
		{
			"a scope says that something is pending", "G5", "invalidation.go",
			"g.scopesPending.Add(1)", "",
			"TestPendingScopesAreApart",
		},
		{
			"a scope says that nothing is pending", "G4", "invalidation.go",
			"g.scopesPending.Add(-1)", "",
			"TestPendingScopesAreApart",
		},
		{
			"a key that is being filled is pending", "G2 G5", "invalidation.go",
			"if len(stuck) > 0 {", "if false {",
			"TestStuckFill",
		},
		{
			"stuck fills are found in one pass", "G9", "invalidation.go",
			"if f.fence.phase == phaseFilling && covered(f.key) && !stuck[f.key] {", "if f.fence.phase == phaseFilling && (slices.Contains(targets.Keys, f.key) || covered(f.key)) && !stuck[f.key] {",
			"TestStuckFillsOfManyKeys",
		},
		{
			"a store whose breaker is open is not waited for", "G5", "invalidation.go",
			"remove = removeNothing", "",
			"TestInvalidateWhileTheStoreIsLeftAlone",
		},
		{
			"prefixes that were not tried are pending", "G5", "invalidation.go",
			"r.failed.Prefixes = append(r.failed.Prefixes, targets.Prefixes[i+1:]...)", "_ = i",
			"TestHangingPrefixesCostOneTimeout",
		},
		{
			"keys that failed are not confirmed", "G5", "targets.go",
			"Keys: lacking(t.Keys, other.Keys)", "Keys: t.Keys",
			"TestTargetsWithout",
		},
		{
			"prefixes that failed are not confirmed", "G5", "targets.go",
			"Prefixes: lacking(t.Prefixes, other.Prefixes)", "Prefixes: t.Prefixes",
			"TestTargetsWithout",
		},
		{
			"what is pending is said", "G5", "invalidation.go",
			"\tif pending := r.failed.size(); pending > 0 {", "\tif pending := r.failed.size(); pending < 0 {",
			"TestFailedInvalidationIsPending",
		},
		{
			"Close tries what is pending", "G5", "retries.go",
			"s.retryOnce(ctx, nil)\n\t_, pending, _ := s.flights.sizes()", "_, pending, _ := s.flights.sizes()",
			"TestCloseWithPending",
		},
		{
			"Close says what is pending", "G5", "retries.go",
			"\tif pending == 0 {\n\t\treturn nil\n\t}\n", "\tif true {\n\t\treturn nil\n\t}\n",
			"TestCloseWithPending",
		},
		{
			"the store holds what may lag", "G2", "invalidation.go",
			"\tif s.lagsThere() {", "\tif false {",
			"TestReplicaLag",
		},
		{
			"the store holds a prefix that may lag", "G2", "invalidation.go",
			"if err == nil && s.lagsThere() {", "if false {",
			"TestReplicaLag",
		},
		{
			"a process knows what may lag", "G2", "invalidation.go",
			"g.lagging.add(targets, now, now.Add(lag))", "_ = now",
			"TestReplicaLagWindow",
		},
		{
			"a process knows the prefixes that may lag", "G2", "pending.go",
			"if strings.HasPrefix(key, prefix) && counts(v) {", "if strings.HasPrefix(key, prefix) && counts(v) && false {",
			"TestReplicaLag",
		},
		{
			"what lags ends", "G6", "pending.go",
			"return l.find(key, func(e *list.Element) bool { return now.Before(untilOf(e)) })", "return l.find(key, func(*list.Element) bool { return !now.IsZero() })",
			"TestLaggingSetAgainstTwin",
		},
		{
			"what lags leaves the set", "G9", "pending.go",
			"\tl.dropUntil(now)\n", "",
			"TestLaggingSetAgainstTwin",
		},
		{
			"what lags is bounded, and then the whole scope lags", "G2 G9", "pending.go",
			"\t\tl.coverAll(l.order.PushBack(&lag{member{\"\", true}, until}))", "\t\tl.coverAll(l.order.PushBack(&lag{member{\"\", true}, now}))",
			"TestLaggingSetAgainstTwin",
		},
		// The store does not fail reads.
	}
}
