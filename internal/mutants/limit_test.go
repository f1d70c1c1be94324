package mutants

// limitMutants are those of the limit on loads, and of the graph of who waits for whom.
func limitMutants() []mutant {
	return []mutant{
		{
			"a queued load that a load with a place comes to wait for runs", "G6", "graph.go",
			"if next.place != nil && g.blockedLocked(next) {", "if false {",
			"TestNestedLoadsDoNotWaitForTheirOwnPlace",
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
			"if !n.slots.hasPlaceLocked() && !g.blockedLocked(n) {", "if false {",
			"TestLoadsWaitInOrder",
		},
		{
			"loads queue in order", "G8", "slots.go",
			"s.queue.PushBack(n)", "s.queue.PushFront(n)",
			"TestLoadsWaitInOrder",
		},
		{
			"a place that is given back is one", "G9", "slots.go",
			"next != nil && s.hasPlaceLocked(); next", "next != nil; next",
			"TestLoadsWaitInOrder",
		},
		{
			"a load that has queued takes a place", "G9", "slots.go",
			"\ts.runLocked(n)\n\tclose(n.turn)", "\tclose(n.turn)",
			"TestLoadsWaitInOrder",
		},
		{
			"a load that a load with a place waits for does not queue", "G8", "slots.go",
			"if !n.slots.hasPlaceLocked() && !g.blockedLocked(n) {", "if !n.slots.hasPlaceLocked() {",
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
			"TestNestedLoadsDoNotWaitForTheirOwnPlace",
		},
	}
}
