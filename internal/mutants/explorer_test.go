package mutants

// exploredMutants are those that the explorer of schedules finds by itself: those of
// the cache that are interleavings, by their names, and some that no other test
// guards.
func exploredMutants() []mutant {
	var mutants []mutant
	for _, m := range append(cacheMutants(), servingMutants()...) {
		if program := programs[m.name]; program != "" {
			m.test = "TestExplore/" + program
			mutants = append(mutants, m)
		}
	}
	return append(mutants,
		mutant{
			"what a refused fill has not stored is not for later readers", "G1", "lease.go",
			"\t\tcase err == nil:\n\t\t\tremoved++", "\t\tcase err == nil:\n\t\t\tconfirmed = append(confirmed, f)",
			"TestExplore/two_readers_and_a_writer_elsewhere",
		},
		mutant{
			"what is loaded under a lease is stored or the lease released, whatever came meanwhile", "G6", "fence.go",
			"\t\tg.endLocked(f)\n\t\tif g.closed ||", "\t\tif f.fence.ended {\n\t\t\tcontinue\n\t\t}\n\t\tg.endLocked(f)\n\t\tif g.closed ||",
			"TestExplore/a_reader_and_a_writer",
		},
		mutant{
			"a put ends the epochs of the flights beside it", "G1 G2", "fence.go",
			"\tif g.endOthersLocked(f) {\n\t\treturn false\n\t}", "",
			"TestExplore/put_without_leases",
		},
		mutant{
			"a put that stored nothing invalidates", "G1 G2", "put.go",
			"return value, s.Invalidate(p.ctx, key)", "return value, nil",
			"TestExplore/put",
		},
	)
}

// programs are those of the explorer in which it misses a mechanism.
var programs = map[string]string{
	"results have a bound": "two_readers_and_a_writer_elsewhere",
	"what is loaded is for readers that began before the load":                               "two_readers_and_a_writer_elsewhere",
	"what is found is for readers that began before the store was asked":                     "a_reader_before_two_elsewhere",
	"nobody joins a flight whose fill was sent, and readers that began later do not take it": "two_readers_and_a_writer_elsewhere",
	"epochs end before the removal":                                                          "without_leases",
	"epochs end once more after the removal":                                                 "without_leases,_a_second_look",
	"a flight whose epoch has ended is not stored":                                           "stale,_without_leases",
	"flights under a prefix are covered by it":                                               "without_leases,_by_prefix",
	"a failed removal is pending":                                                            "losses",
	"what is pending is not read":                                                            "losses",
	"flights bypass the store while their key is pending":                                    "losses",
	"epochs end after a removal that failed, too":                                            "without_leases,_a_second_look,_with_losses",
	"invalidations end epochs":                                                               "without_leases",
	"a failed load releases its lease":                                                       "a_reader_and_a_writer_elsewhere",
	"a hold is placed before the write":                                                      "a_hold,_with_losses",
}
