package mutants

// memoryMutants are those of the store in the process.
func memoryMutants() []mutant {
	return []mutant{
		{
			"what is removed leaves the table", "G1 G2", "write.go",
			"s.table.Load().remove(n)", "",
			"TestModel",
		},
		{
			"what is removed leaves the index", "G9", "index.go",
			"x.names.Delete(n.name)", "",
			"TestModel",
		},
		{
			"what is stored is listed in the index", "G2", "index.go",
			"\tif s.index.begun {\n\t\tx.names.Insert(n.name)\n\t}", "",
			"TestModel",
		},
		{
			"what is replaced stays listed", "G2", "write.go",
			"if why != replaced {", "if true {",
			"TestModel",
		},
		{
			"prefixes are looked for from their first name on", "G2", "index.go",
			"x.names.Ascend(max(from, prefix), func(name string) bool {", "x.names.Ascend(max(from, prefix+\"\\x00\"), func(name string) bool {",
			"TestModel",
		},
		{
			"a removal by prefix ends after its last name", "G2", "index.go",
			"return name > prefix\n", "return false\n",
			"TestPrefixIsBytes",
		},
		{
			"a removal by prefix goes on until nothing is left", "G2", "prefix.go",
			"for !c.done {", "for range 1 {",
			"TestConformance/default/prefix/many",
		},
		{
			"a removal by prefix goes on from the last name seen", "G9", "prefix.go",
			"c.from = successor(names[len(names)-1])", "",
			"TestPrefixDeleteGoesOnFromWhereItWas",
		},
		{
			"what has ended is not found", "G1", "store.go",
			"if end = min(end, n.expires); end != never && s.now() >= end {", "if end != never && s.now() >= end {",
			"TestTTLIsExact",
		},
		{
			"after its deadline the store answers nothing", "G1", "store.go",
			"end := s.deadline.Load()", "end := never",
			"TestServeUntil",
		},
		{
			"after its deadline the store answers no values", "G1", "read.go",
			"end := s.deadline.Load()", "end := never",
			"TestServeUntil",
		},
		{
			"after its deadline the store answers nothing, of many keys", "G1", "read.go",
			"deadline := s.deadline.Load()", "deadline := never",
			"TestServeUntil",
		},
		{
			"a store that was cleared has a whole index, or none", "G2", "serve.go",
			"s.index = index{begun: indexed, complete: indexed}", "s.index = index{begun: indexed, complete: true}",
			"TestClear",
		},
		{
			"a name that is stored alone is a copy", "G9", "node.go",
			"return strings.Clone(name)", "return name",
			"TestNamesAreCopies",
		},
		{
			"names that are stored together are copies", "G9", "node.go",
			"return c.piece.String()[begin:]", "return name[begin-begin:]",
			"TestNamesAreCopies",
		},
		{
			"a piece of names is small", "G9", "node.go",
			"c.piece.Grow(min(pieceSize, left*len(name)))", "c.piece.Grow(left * len(name))",
			"TestNamesAreCopies",
		},
		{
			"what has ended is not found as a value", "G1", "read.go",
			"if now = s.now(); now >= end {", "if now = s.now(); false {",
			"TestTTLIsExact",
		},
		{
			"a value that is no longer fresh is not found by GetValue", "G1", "node.go",
			"\t\tif now >= b.freshUntil {\n\t\t\treturn nil, false\n\t\t}\n", "",
			"TestConformance/default/getvalue/fresh",
		},
		{
			"an absence is not a value to serve", "G1", "node.go",
			"return value, !n.absent", "return value, true",
			"TestConformance/default/getvalue/entries",
		},
		{
			"of many values, those that have ended are not served", "G1", "read.go",
			"if n != nil && (n.expiredAt(now) || now >= deadline) {", "if n != nil && now >= deadline {",
			"TestConformance/default/getvalue/ends",
		},
		{
			"of many values, what a closed store lacks is not told", "G2", "read.go",
			"if misses > 0 && s.closed.Load() {", "if false {",
			"TestConformance/default/getvalue/after-close",
		},
		{
			"of many keys, one whose chain was cut is looked for again", "G6", "table.go",
			"if n == nil && t.size.Load() != size {", "if false {",
			"TestTableAmongReaders",
		},
		{
			"what a closed store lacks is not told", "G2", "read.go",
			"\tif s.closed.Load() {\n\t\treturn provider.Unsure\n\t}\n", "",
			"TestConformance/default/getvalue/after-close",
		},
		{
			"what has ended does not count as removed", "G2", "write.go",
			"live = !n.expiredAt(now)", "live = true",
			"TestExpiredEntryDoesNotCountAsLive",
		},
		{
			"room is made before something is stored", "G9", "write.go",
			"if count < s.maxEntries && weight <= s.maxWeight-n.weight() {", "if count <= s.maxEntries && weight <= s.maxWeight-n.weight() {",
			"TestBoundIsExact",
		},
		{
			"the index has what was there before it", "G2", "index.go",
			"n.scope.names.Insert(n.name)", "_ = n",
			"TestModel",
		},
		{
			"a node is reachable in a new bucket before its chain is cut", "G4 G6", "table.go",
			"\tt.bucket(size).Store(n)\n\tt.size.Store(size + 1)\n\tlink.Store(nil)\n", "\tlink.Store(nil)\n\tt.bucket(size).Store(n)\n\tt.size.Store(size + 1)\n",
			"TestGrowHidesNobody",
		},
	}
}
