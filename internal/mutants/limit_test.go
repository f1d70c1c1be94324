package mutants

// limitMutants are those of the limit on loads that the tests of the cache guard.
func limitMutants() []mutant {
	return []mutant{
		{
			"a queued load that a load with a place comes to wait for runs", "G6", "graph.go",
			"if next.place != nil && g.borrowLocked(next) {", "if false {",
			"TestLoadsThatQueueForEachOther",
		},
		{
			"a load that leaves the queue is out of it", "G9", "slots.go",
			"n.slots.dequeueLocked(n)\n\treturn context.Cause(ctx)", "n.place = nil\n\treturn context.Cause(ctx)",
			"TestLeavingTheQueue",
		},
		{
			"a load may wait twice for another", "G8", "graph.go",
			"g.reads[n][other]++", "g.reads[n][other] = 1",
			"TestRecursiveLoadOfTwoReaders",
		},
		{
			"loads wait for each other through others", "G8", "graph.go",
			"\tfor next := range g.reads[from] {\n\t\tif !seen[next] && g.reachesLocked(next, target, which, seen) {", "\tfor next := range g.reads[from] {\n\t\tif next == target {",
			"TestNestedLoadsDoNotWaitForTheirOwnPlace",
		},
		{
			"loads that have waited leave nothing", "G9", "graph.go",
			"\tif len(g.reads[n]) == 0 {\n\t\tdelete(g.reads, n)\n\t}\n", "",
			"TestNestedLoadsOfOtherKeys",
		},
		{
			"loads are limited", "G9", "slots.go",
			"if !g.placeLocked(n) {", "if false {",
			"TestLoadsWaitInOrder",
		},
		{
			"loads queue in order", "G8", "slots.go",
			"s.queue.PushBack(n)", "s.queue.PushFront(n)",
			"TestLoadsWaitInOrder",
		},
		{
			"a place that is given back is one", "G9", "slots.go",
			"case s.hasPlaceLocked():", "case true:",
			"TestLoadsWaitInOrder",
		},
		{
			"a load that has queued takes a place", "G9", "slots.go",
			"\ts.runLocked(n)\n\tclose(n.turn)", "\tclose(n.turn)",
			"TestLoadsWaitInOrder",
		},
		{
			"a load that a load with a place waits for does not queue", "G8", "slots.go",
			"if !g.placeLocked(n) {", "if !n.slots.hasPlaceLocked() {",
			"TestNestedCallThatQueuesTwice",
		},
		{
			"a load that comes to wait for the queue frees it", "G8", "graph.go",
			"\t\tg.relieveLocked(next, seen)\n", "",
			"TestLoadThatComesToWaitForTheQueue",
		},
		{
			"a load that waits for the queue frees it", "G8", "graph.go",
			"\tg.relieveLocked(n, make(map[*Node]bool))\n", "",
			"TestLoadsThatQueueForEachOther",
		},
		{
			"a place of a reader's load is lent to one load at a time", "G9", "slots.go",
			"return holder.borrower == nil && ", "return ",
			"TestLoadsThatQueueForEachOther",
		},
		{
			"queues of two scopes end", "G8", "slots.go",
			"g.reachesLocked(holder, n, allEdges, ", "g.reachesLocked(holder, n, readsOnly, ",
			"TestLoadsThatQueueForEachOther",
		},
	}
}

// graphMutants are those of the limit on loads that its own tests guard.
func graphMutants() []mutant {
	return []mutant{
		{
			"a queued load waits for the loads that have places", "G8", "slots.go",
			"g.reachesLocked(holder, n, allEdges, ", "g.reachesLocked(holder, n, readsOnly, ",
			"TestQueuesOfTwoScopes",
		},
		{
			"a load that reads lends its place to a queued load", "G8", "graph.go",
			"if next.place != nil && g.borrowLocked(next) {", "if false {",
			"TestQueuesOfTwoScopes",
		},
		{
			"a load that reads looks for queued loads behind those that it reads", "G8", "graph.go",
			"\t\tg.relieveLocked(next, seen)\n", "",
			"TestRandomPrograms",
		},
		{
			"a load that comes borrows a place", "G8", "slots.go",
			"if !g.placeLocked(n) {", "if !n.slots.hasPlaceLocked() {",
			"TestQueuesOfTwoScopes",
		},
		{
			"the queue is searched only for loads that can borrow", "G9", "slots.go",
			"if len(awaited) == 0 {\n\t\t\t\treturn\n\t\t\t}\n\t\t\tif awaited[queued] && g.borrowLocked(queued) {", "if g.borrowLocked(queued) {",
			"TestLongQueue",
		},
		{
			"a place that is not lent any more is lent again", "G8", "slots.go",
			"if awaited[queued] && g.borrowLocked(queued) {", "if false {",
			"TestRandomPrograms",
		},
		{
			"a place is lent to one load at a time", "G9", "slots.go",
			"return holder.borrower == nil && ", "return ",
			"TestQueuesOfThreeScopes",
		},
		{
			"a borrower gives its place back", "G8", "slots.go",
			"\t\tn.lender.borrower = n.borrower\n", "",
			"TestRandomPrograms",
		},
		{
			"a place that was lent on stays lent", "G9", "slots.go",
			"n.lender.borrower = n.borrower", "n.lender.borrower = nil",
			"TestRandomPrograms",
		},
		{
			"a load whose lender has ended has the place of that one", "G8", "slots.go",
			"\tif n.borrower != nil {\n\t\tn.borrower.lender = n.lender\n\t}\n", "",
			"TestRandomPrograms",
		},
		{
			"a read that leads to a queue is no circle", "G8", "graph.go",
			"g.reachesLocked(other, n, readsOnly, ", "g.reachesLocked(other, n, allEdges, ",
			"TestQueuesOfTwoScopes",
		},
	}
}
