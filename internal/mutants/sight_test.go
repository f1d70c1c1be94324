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
