package mutants

// exploredMutants are those that the explorer of schedules finds by itself: those of
// the cache that are interleavings, by their names, and some that no other test
// guards.
func exploredMutants() []mutant {
	return append(inPrograms(append(cacheMutants(), servingMutants()...)),
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

// inPrograms returns those of all that the explorer finds, with the programs in which it does.
func inPrograms(all []mutant) (mutants []mutant) {
	for _, m := range all {
		if program := programs[m.name]; program != "" {
			m.test = "TestExplore/" + program
			mutants = append(mutants, m)
		}
	}
	return mutants
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

	"what a message has overtaken is not put into the memory": "near_caches,_a_reader",
	"the position is taken before the request is sent":        "near_caches,_what_another_process_has_stored",
	"a prefix moves the fence of all keys":                    "near_caches,_a_prefix_of_what_nobody_has",
	"a message drops keys":                                    "near_caches,_readers_of_what_both_have",
	"a strict member is waited for":                           "near_caches,_readers_of_what_both_have",
	"an acknowledgement of an older number does not count":    "near_caches,_two_writers",
	"a process drops by itself what it removes":               "near_caches,_a_writer_whose_process_has_it",
}
