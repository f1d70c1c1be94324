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
			"keys that the store has not removed are pending, in every scope", "G5", "shares.go",
			"p.failed.Keys = slices.Clone(p.targets.Keys[confirmed:])", "",
			"TestInvalidateSeveralScopesPending",
		},
		{
			"prefixes that the store has not removed are pending, in every scope", "G5", "shares.go",
			"p.failed.Prefixes = failed.Prefixes", "",
			"TestInvalidateSeveralScopesPending",
		},
		{
			"an invalidation of several scopes does not ask a store that is left alone", "G5", "shares.go",
			"if e.backend.Open() {", "if false {",
			"TestInvalidateSeveralScopesWhileTheStoreIsLeftAlone",
		},
		{
			"an invalidation of several scopes outlives its context", "G5", "invalidate.go",
			"c.invalidateShares(context.WithoutCancel(ctx), list)", "c.invalidateShares(ctx, list)",
			"TestInvalidateSeveralScopes",
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
			"scopes of another cache are refused", "G10", "shares.go",
			"case s.engine != e:", "case false:",
			"TestTargetsThatMakeNoSense",
		},
		{
			"a hold that cannot be had gives the others up", "G6", "shares.go",
			"unholdShares(context.WithoutCancel(ctx), holds)", "",
			"TestMutateHoldsSeveralScopes",
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
