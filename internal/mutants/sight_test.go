package mutants

// sightMutants are those of what the root package says about itself.
func sightMutants() []mutant {
	return []mutant{
		{
			"what is pending no longer is not", "G5", "invalidation.go",
			"\t\tg.since = time.Time{}\n", "",
			"TestActivity",
		},
		{
			"a page sees the oldest loads", "G9", "activity.go",
			"cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.Key, y.Key))", "cmp.Or(y.Since.Compare(x.Since), strings.Compare(x.Key, y.Key))",
			"TestActivity",
		},
		{
			"a logger that panics fails nothing", "G5", "logging.go",
			"_ = apart(over, func() { l.logger.LogAttrs(ctx, level, text, attrs()...) })", "l.logger.LogAttrs(ctx, level, text, attrs()...)",
			"TestLoggerThatPanics",
		},
		{
			"pending invalidations do not flood the log", "G5", "logging.go",
			"l.pending.admit(scope, time.Now())\n\tif !ok {", "l.pending.admit(scope, time.Now())\n\tif !ok && false {",
			"TestOutageIsTwoLines",
		},
		{
			"a difference that a sample finds is looked at again", "G1", "sample.go",
			"if !differs || !m.pause() {", "if !differs {",
			"TestSamplesFindStaleValues",
		},
		{
			"a sample tells an entry from its successor", "G1", "sample.go",
			" || !now.LoadedAt.Equal(before.LoadedAt)", "",
			"TestSamplesFindNothingWhereThereIsNothing",
		},
		{
			"what is pending is no finding of a sample", "G1", "sample.go",
			"if m.scope.flights.bypasses(m.key) {", "if false {",
			"TestSamplesFindNothingWhereThereIsNothing",
		},
		{
			"which hits are sampled depends on the scope", "G9", "samplestats.go",
			"uint64(n)^s.seed", "uint64(n)",
			"TestSamplesAreSpread",
		},
		{
			"each hit has a number of its own for the samples", "–", "keyspace.go",
			"return s.sampling.picks(n)", "return s.sampling.picks(n - n + 1)",
			"TestOneInSoManyHitsIsSampled",
		},
		{
			"each bulk read has a number of its own for the samples", "–", "wrapmany.go",
			"if s.sampling.picks(far + near) {", "if s.sampling.picks(far - far + near - near + 1) {",
			"TestOneInSoManyHitsIsSampled",
		},
		{
			"a bulk read samples no key that it has missed", "–", "sample.go",
			"if missing[i].index <= n {", "if missing[i].index < 0 {",
			"TestSamplesOfABulkReadAreOfHits",
		},
		{
			"samples are bounded in number", "G9", "samplestats.go",
			"if b.running >= o.SampleLoads || now.Before(b.next) {", "if now.Before(b.next) {",
			"TestSamplesAreBounded",
		},
		{
			"samples are bounded in rate", "G9", "samplestats.go",
			"if b.running >= o.SampleLoads || now.Before(b.next) {", "if b.running >= o.SampleLoads {",
			"TestSamplesAreBounded",
		},
		{
			"the advice of the store is logged once", "G10", "ping.go",
			"e.log.advice(ctx, e.closing, advice)\n\t\t\treturn", "e.log.advice(ctx, e.closing, advice)",
			"TestAdviceIsLoggedOnce",
		},
	}
}

// logMutants are those of how the breaker says that it has changed.
func logMutants() []mutant {
	return []mutant{
		{
			"an outage is two lines", "G4", "shards.go",
			"was != is && b.changed != nil", "(was != is || true) && b.changed != nil",
			"TestOutageIsTwoLines",
		},
		{
			"what an outage has cost is counted", "G4", "backend.go",
			"\t\tbreaker.notMade.Add(1)\n", "",
			"TestOutageIsTwoLines",
		},
	}
}

// pageMutants are those of the page that operators look at.
func pageMutants() []mutant {
	return []mutant{
		{
			"forms of other sites change nothing", "G10", "inspect.go",
			"h.guarded = protection.Handler(http.HandlerFunc(h.serve))", "_ = protection\n\th.guarded = http.HandlerFunc(h.serve)",
			"TestInvalidate",
		},
		{
			"a page that only reads changes nothing", "G10", "inspect.go",
			"case r.Method == http.MethodPost && h.options.Invalidate:", "case r.Method == http.MethodPost:",
			"TestRefusals",
		},
		{
			"keys in flight are not shown", "G10", "view.go",
			"if h.options.ShowKeys {\n\t\t\tload.Key", "if true {\n\t\t\tload.Key",
			"TestInFlight",
		},
		{
			"an empty prefix is not the whole scope", "G10", "invalidate.go",
			"case form.Get(\"whole\") != \"\":", "case true:",
			"TestInvalidate",
		},
	}
}
