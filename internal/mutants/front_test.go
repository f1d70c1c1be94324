package mutants

// frontMutants are those of families and lists.
func frontMutants() []mutant {
	return []mutant{
		{
			"prefixes that cover each other are refused", "G1", "prefixes.go",
			"case strings.HasPrefix(used.prefix, prefix) || strings.HasPrefix(prefix, used.prefix):", "case false:",
			"TestFamilyOfBadArguments",
		},
		{
			"a prefix belongs to one type of ids and values", "G1", "prefixes.go",
			"case used.prefix == prefix && used.by == by:", "case used.prefix == prefix:",
			"TestFamilyOfBadArguments",
		},
		{
			"readers of a family with Clone share no value", "G8", "family.go",
			"if err != nil || f.loads.Clone == nil {", "if true {",
			"TestFamilyClones",
		},
		{
			"bulk readers of a family with Clone share no value", "G8", "family.go",
			"values[id] = f.loads.Clone(value)", "values[id] = value",
			"TestFamilyClones",
		},
		{
			"readers of a list that is Cloned share no result", "G8", "list.go",
			"return l.given(result, err == nil), err", "return result, err",
			"TestListCloned",
		},
		{
			"readers of a list that is Cloned share nothing that they peek at", "G8", "list.go",
			"return l.given(value, ok), ok, err", "return value, ok, err",
			"TestListCloned",
		},
		{
			"keys that the store has not removed are pending, in every scope", "G5", "shares.go",
			"if r.failed.Keys = left(p.targets.Keys, confirmed); len(r.failed.Keys) > 0 {", "if len(left(p.targets.Keys, confirmed)) > 0 {",
			"TestInvalidateSeveralScopesPending",
		},
		{
			"prefixes that the store has not removed are pending, in every scope", "G5", "shares.go",
			"r := p.scope.remove(ctx, rest)\n", "r := p.scope.remove(ctx, rest)\n\t\tr.failed.Prefixes = nil\n",
			"TestInvalidateSeveralScopesPending",
		},
		{
			"an invalidation of several scopes does not ask a store that is left alone", "G5", "shares.go",
			"if e.backend.Open() {", "if false {",
			"TestInvalidateSeveralScopesWhileTheStoreIsLeftAlone",
		},
		{
			"all shares of targets are invalidated", "G1", "shares.go",
			"list = addShare(list, m)", "_ = m",
			"TestInvalidateSeveralScopes",
		},
		{
			"shares of one scope are joined", "G1", "shares.go",
			"of.Keys = slices.Concat(of.Keys, m.targets.Keys)", "",
			"TestInvalidateSeveralScopes",
		},
		{
			"a scope whose source lags holds its keys, also among others", "G2", "shares.go",
			"p := &parts[n]; !p.scope.lagsThere() {", "p := &parts[n]; true {",
			"TestInvalidateSeveralLaggingScopes",
		},
		{
			"a literal belongs to the scope of the call", "G1", "shares.go",
			"\t\town = scope\n", "\t\town, s = scope, scope\n",
			"TestLiteralBelongsToTheScopeOfTheCall",
		},
		{
			"a batch asks an error only once it is sane", "G1", "batch.go",
			"\terr = backend.Sane(err)\n", "",
			"TestBatchWithACommitErrorThatPanics",
		},
		{
			"scopes of another cache are refused", "G10", "shares.go",
			"case own.engine != e:", "case false:",
			"TestTargetsThatMakeNoSense",
		},
		{
			"a hold that cannot be had gives the others up", "G6", "shares.go",
			"unholdShares(context.WithoutCancel(ctx), holds)", "",
			"TestMutateHoldsSeveralScopes",
		},
		{
			"reads inside of a transaction bypass the cache", "G2", "direct.go",
			"return !d.onlyWrites || d.batch.has(s, key)", "return false",
			"TestReadInATransaction",
		},
		{
			"a bulk read inside of a transaction bypasses the cache", "G2", "wrapmany.go",
			"if r.isDirect(ctx) {", "if false {",
			"TestReadInATransaction",
		},
		{
			"a read with its source inside of a transaction bypasses the cache", "G2", "wrap.go",
			"if s.isDirect(ctx, key) {\n\t\tvalue, err := direct", "if false {\n\t\tvalue, err := direct",
			"TestReadInATransaction",
		},
		{
			"a Refresh inside of a transaction stores nothing", "G2", "wrap.go",
			"return direct(ctx, &s.keyspace, load)\n", "",
			"TestReadInATransaction",
		},
		{
			"a hit is not for a transaction", "G1", "wrap.go",
			"if s.isDirect(ctx, key) {\n\t\tl.is", "if false {\n\t\tl.is",
			"TestReadInATransaction",
		},
		{
			"a Put inside of a transaction stores nothing", "G2", "put.go",
			"if s.collector(ctx) != nil {", "if false {",
			"TestReadInATransaction",
		},
		{
			"reads of what the transaction has changed bypass the cache", "G1", "batch.go",
			"return ok || c.targets.coverByPrefix(key)", "return false && ok",
			"TestBatchOnlyWrites",
		},
		{
			"invalidations of a transaction wait for its commit", "G1", "batch.go",
			"if b := e.collector(ctx); b != nil && b.add(after, stale, holds) {", "if b := e.collector(ctx); b != nil && false {",
			"TestBatchInvalidatesAfterTheCommit",
		},
		{
			"emissions of a transaction wait for its commit", "G1", "batch.go",
			"return b != nil && b.add(context.WithoutCancel(ctx), nil, nil, emit{emission, ifConfirmed})", "return false && b != nil && ifConfirmed && emission != nil",
			"TestBatchInvalidatesAfterTheCommit",
		},
		{
			"a commit of which nobody knows the outcome invalidates", "G1", "batch.go",
			"unchanged := errors.Is(err, ErrUnchanged)", "unchanged := err != nil || errors.Is(err, ErrUnchanged)",
			"TestBatchOutcomes",
		},
		{
			"a commit of which nobody knows the outcome emits nothing", "G1", "batch.go",
			"\tif err != nil {\n\t\temits = nil\n", "\tif err != nil {\n\t\t_ = emits\n",
			"TestBatchOutcomes",
		},
		{
			"a mutation with FailWhenPending emits nothing in a transaction, either", "G5", "batch.go",
			"func(e emit) bool { return e.ifConfirmed }", "func(emit) bool { return false }",
			"TestBatchOutcomes",
		},
		{
			"a batch is settled once", "G9", "batch.go",
			"b.ended = true\n", "",
			"TestBatchOutcomes",
		},
		{
			"a transaction that is discarded gives its holds up", "G6", "batch.go",
			"unholdShares(b.unholds, holds)", "_ = holds",
			"TestBatchHolds",
		},
		{
			"a savepoint gives what it has to its transaction", "G1", "batch.go",
			"outer != nil && outer.add(after, stale, holds, emits...)", "outer != nil && false",
			"TestBatchInABatch",
		},
		{
			"a context bypasses its own cache", "G10", "direct.go",
			"case d.engine != s.engine:", "case false:",
			"TestBypass",
		},
		{
			"a look does not see what is pending, also among others", "G5", "peek.go",
			" && !s.flights.bypasses(key) {", " {",
			"TestPeekAfterAnInvalidation",
		},
		{
			"a look does not show what is kept for errors", "G1", "peek.go",
			"case is > stale:", "case false && is > stale:",
			"TestPeek",
		},
		{
			"a bulk refresh does not take what is stored", "G1", "wrapmany.go",
			"if r.purpose == toReplace {", "if false {",
			"TestRefreshMany",
		},
		{
			"the error of a load that is for its reader is for nobody else", "G8", "read.go",
			"if left == nil && r.isForOthers(i) {", "if left == nil && r.isForOthers(i) && !i.flight.outcome.failed() {",
			"TestDoNotStoreKeepsErrorsToTheReader",
		},
		{
			"the error of a load that is for its reader is not remembered", "G8", "singleflight.go",
			"case f.outcome.failed() && !f.outcome.private:", "case f.outcome.failed():",
			"TestDoNotStoreKeepsErrorsToTheReader",
		},
		{
			"with FinishLoads, a load goes on that everybody has left", "G7", "leave.go",
			"if g.options.FinishLoads && c.stage == stageLoading {", "if false {",
			"TestFinishLoads",
		},
		{
			"a load that has not begun is cancelled when everybody has left, also with FinishLoads", "G7", "leave.go",
			"if g.options.FinishLoads && c.stage == stageLoading {", "if g.options.FinishLoads {",
			"TestQueuedLoadIsNotFinished",
		},
		{
			"a TTL without a unit is refused", "G10", "options.go",
			"if d <= 0 || d >= leastTTL {", "if true {",
			"TestBadScopes",
		},
		{
			"an error about a key is told apart from one of a load", "G10", "errors.go",
			"return target == ErrBadKey", "return false",
			"TestList",
		},
	}
}

// idMutants are those of package idkey.
func idMutants() []mutant {
	return []mutant{
		{
			"a slash in an id ends no part of it", "G1", "idkey.go",
			`b = append(b, "%2F"...)`, `b = append(b, '/')`,
			"FuzzTexts",
		},
		{
			"an escape in an id is no slash", "G1", "idkey.go",
			`b = append(b, "%25"...)`, `b = append(b, '%')`,
			"FuzzTexts",
		},
		{
			"the first parts of ids end where a part ends", "G1", "idkey.go",
			"b = append(p.parts[i].append(b, id), '/')", "b = p.parts[i].append(b, id)",
			"FuzzTexts",
		},
		{
			"parts of ids are apart", "G1", "idkey.go",
			"if i > 0 {", "if false {",
			"FuzzTexts",
		},
	}
}
