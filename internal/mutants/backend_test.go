package mutants

// backendMutants are those of the way to the store: its deadline, its breaker, its leases.
func backendMutants() []mutant {
	return []mutant{
		{
			"a lease granted to nobody is given back", "G6 G8", "ask.go",
			"if left != nil {", "if false {",
			"TestLeaseGrantedTooLateIsGivenBack",
		},
		{
			"retries come before reads", "G5", "backend.go",
			"mayProbe := b.Pending.Load() == 0", "mayProbe := true",
			"TestRetriesComeBeforeReads",
		},
		{
			"calls of the store have a deadline", "G4", "ask.go",
			"bounded, cancel := context.WithTimeout(ctx, bound)", "bounded, cancel := context.WithTimeout(ctx, bound+time.Second)",
			"TestHangingStoreCostsAFewTimeouts",
		},
		{
			"the breaker opens after failures in a row", "G4", "breaker.go",
			"b.open.Store(true)", "",
			"TestHangingStoreCostsAFewTimeouts",
		},
		{
			"an outage begins once", "G4", "breaker.go",
			"if !b.open.Load() {\n\t\tb.since = now", "if true {\n\t\tb.since = now",
			"TestStoreState",
		},
		{
			"a caller with too little time tells nothing about the store", "G4", "ask.go",
			"v == storeFailed && !r.conclusive", "v == storeFailed && false",
			"TestPunctualStoreAndImpatientCallers",
		},
		{
			"the deadline of a connection is that of its caller", "G4", "ask.go",
			"(bounded.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded))", "bounded.Err() != nil",
			"TestPunctualStoreAndImpatientCallers/of_the_connection",
		},
		{
			"a fill that panics in the process is an error", "G4", "store.go",
			"\tdefer b.recoverStore(&err)\n\treturn Sane(b.store.Set(", "\treturn Sane(b.store.Set(",
			"TestFillThatDoesNotReturnNormally",
		},
		{
			"values that panic are an error", "G4", "store.go",
			"\tdefer b.recoverStore(&err)\n\tb.Values.GetValues(", "\tb.Values.GetValues(",
			"TestGetValuesThatPanics",
		},
		{
			"a fill that ends its goroutine is over", "G5 G8", "store.go",
			"\t\t\tdefer s.done()\n\t\t\treturn b.setNow(ctx, items[first:end:end])", "\t\t\terr := b.setNow(ctx, items[first:end:end])\n\t\t\ts.done()\n\t\t\treturn err",
			"TestFillThatDoesNotReturnNormally",
		},
		{
			"a panic of the store is an error", "G4", "ask.go",
			"*err = fmt.Errorf(\"readthrough: the store panicked: %w\", b.panicked(r))", "panic(r)",
			"TestOutageNeverFailsARead",
		},
		{
			"calls that the store does not answer are bounded", "G9", "backend.go",
			"return b.orphans.Load() >= maxOrphans", "return false",
			"TestAbandonedCallsAreBounded",
		},
		{
			"what was granted too late is given back in time", "G6", "lease.go",
			"ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.ReadTimeout)", "ctx, cancel := context.WithTimeout(ctx, b.ReadTimeout)",
			"TestLeaseGrantedTooLateIsGivenBack",
		},
		{
			"grants that cannot be told apart are none", "G4", "lease.go",
			"if err == nil && len(grants) != n {", "if false {",
			"TestWrongNumberOfGrants",
		},
		{
			"answers that cannot be told apart are none", "G4", "lease.go",
			"if err == nil && len(filled) != len(fills) {", "if false {",
			"TestWrongNumberOfGrants",
		},
		{
			"a store that fails is asked for no leases", "G4", "lease.go",
			"\tif err := b.admit(does); err != nil {\n\t\treturn nil, err\n\t}\n\treturn askLeaving(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Grant, error) {", "\treturn askLeaving(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Grant, error) {",
			"TestLeasesOfAFailingStore",
		},
		{
			"a store that fails is not asked to fill under leases", "G4", "lease.go",
			"\tif err := b.admit(does); err != nil {\n\t\treturn nil, err\n\t}\n\treturn ask(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Filled, error) {", "\treturn ask(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Filled, error) {",
			"TestLeasesOfAFailingStore",
		},
		{
			"a store that fails is not asked to take leases back", "G4", "lease.go",
			"\t\tif err := b.admit(does); err != nil {\n\t\t\treturn err\n\t\t}\n\t\treturn askOnly(", "\t\treturn askOnly(",
			"TestLeasesOfAFailingStore",
		},
		{
			"a caller keeps half of its time for the load", "G4", "ask.go",
			"bound = min(timeout, time.Until(deadline)/2)", "bound = min(timeout, time.Until(deadline))",
			"TestHangingStoreAndImpatientCallers",
		},
		{
			"a store that refuses an entry is well", "G4", "ask.go",
			"errors.Is(err, provider.ErrTooLarge),\n", "",
			"TestRefusalsAreNoFailures",
		},
		{
			"a bulk call goes in parts", "G4", "parts.go",
			"\treturn p.most\n", "\treturn 1 << 30\n",
			"TestPartOfAnInvalidationIsConfirmed",
		},
		{
			"results that cannot be told apart are none", "G4", "store.go",
			"if err == nil && len(results) != len(keys) {", "if false {",
			"TestWrongNumberOfResults",
		},
		{
			"a probe that was ended is not the last one", "G4", "ask.go",
			"\t\tif !judged {", "\t\tif !judged && false {",
			"TestGoexitOfTheProbe",
		},
	}
}
