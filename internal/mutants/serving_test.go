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
	}
}
