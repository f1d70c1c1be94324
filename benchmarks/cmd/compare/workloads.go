package main

import "slices"

// workload is a benchmark as it is measured, and what the page says of it.
type workload struct {
	bench     string // a regular expression for -test.bench
	benchtime string
	rounds    int // at most; 0: as many as there is time for
	sections  []section
}

// section is a part of the page: a table for each of its workloads that was
// measured.
type section struct {
	title string
	text  string
	names []string // of the results, without the library
	unit  string   // the metric that is compared
	more  []string // other metrics that the table shows
	most  bool     // more of the unit is better
	limit string   // the library that ratios to the limit refer to; empty: the best limit
}

const (
	nsPerOp     = "ns/op"
	cpuPerOp    = "cpu-ns/op"
	allocsPerOp = "allocs/op"
	bytesPerOp  = "B/op"
)

// workloads are all that is measured, in the order of the page. Where the number of
// operations is given, it matters for what is measured: keys must not run out, and
// a trace is read once.
func workloads() []workload { return slices.Concat(memoryWorkloads(), redisWorkloads()) }

// memoryWorkloads are those of stores in the process.
func memoryWorkloads() []workload {
	return []workload{
		{bench: "^BenchmarkHit$", benchtime: "200ms", sections: []section{{
			title: "Hits in memory",
			text: "Reads of what is stored, in random order. *one* is one goroutine, *all* is one for each processor. " +
				"Few keys stay in the processor's caches; of many, most reads wait for memory. readthrough always counts its hits, otter in otter-counting only.",
			names: []string{"Hit/keys=1000/one", "Hit/keys=1000/all", "Hit/keys=100000/one", "Hit/keys=100000/all"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkKeyBuilt$", benchtime: "200ms", sections: []section{{
			title: "Hits with a key that is made in the call",
			text: "The same with 100,000 keys, each made of a prefix and a number when it is read, as services do. " +
				"readthrough appends it to a buffer (MemoizeAppend); the others have no such call, and make a string.",
			names: []string{"KeyBuilt/one", "KeyBuilt/all"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkPolicy$", benchtime: "1000000x", rounds: 2, sections: []section{{
			title: "Which entries stay",
			text: "A cache of 10,000 entries in front of 100,000 keys: by popularity (Zipf, exponent 0.99); the same with every other read " +
				"one of a scan that reads each key once; and a loop over 12,500 keys. limit-optimum holds the keys that are read most often and no other. " +
				"Loops are what readthrough's policy is bad at: a key of a loop comes back when it is about to be forgotten. Caches that keep a sketch of " +
				"how often keys were read have it easy there. [Decisions](decisions.md) says what was tried.",
			names: []string{"Policy/zipf", "Policy/scan", "Policy/loop"},
			unit:  "hit-%", more: []string{cpuPerOp}, most: true,
		}}},
		{bench: "^BenchmarkMiss$", benchtime: "150000x", sections: []section{{
			title: "Misses",
			text: "A miss, a load that takes no time, a fill, and an eviction: what a library adds to a load. The limits evict nothing. " +
				"ristretto and the limits have the single flight of x/sync around them, which runs the load in the goroutine of its caller: " +
				"who waits cannot leave, and a caller's cancellation is everybody's; so do the others. otter-raw has no single flight. " +
				"readthrough has a goroutine for each load, so that a reader can leave and the load goes on for the others, and that is more than half of what a miss takes. " +
				"otter-leavable and limit-leavable, to which the ratios refer, are otter-raw and limit-xsync with the single flight of x/sync in the way that lets readers leave, " +
				"DoChan: the least that can be compared. They still fill what was invalidated meanwhile.",
			names: []string{"Miss/one", "Miss/all"},
			unit:  cpuPerOp, limit: "limit-leavable", more: []string{nsPerOp, allocsPerOp, bytesPerOp},
		}}},
		{bench: "^BenchmarkStampede$", benchtime: "10x", sections: []section{{
			title: "A thousand readers at once",
			text: "A thousand goroutines read a cold key, or as many of them, from a source that takes 10 ms. With as many keys, " +
				"those whose readers can leave have two thousand goroutines.",
			names: []string{"Stampede/one_key", "Stampede/as_many_keys"},
			unit:  nsPerOp, more: []string{cpuPerOp, "loads/op"},
		}}},
		{bench: "^BenchmarkBulk$", benchtime: "150ms", sections: []section{{
			title: "A hundred keys in a call",
			text:  "All of them stored, or every other one never read before, from a source that takes no time.",
			names: []string{"Bulk/hits/one", "Bulk/hits/all", "Bulk/half/one"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp, bytesPerOp},
		}}},
		{bench: "^BenchmarkInvalidate$", benchtime: "100000x", sections: []section{{
			title: "Invalidations",
			text: "Of one key that is stored. Only readthrough's also keeps loads that are under way from storing what is old, and from handing it to readers " +
				"that come later; otter's keeps them from storing.",
			names: []string{"Invalidate"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkPrefix$", benchtime: "3x", rounds: 1, sections: []section{{
			title: "A family of keys among a million",
			text: "Removing all keys that begin with a prefix, while another goroutine reads other keys. p99.9-ns is how long the slowest of a thousand of those reads takes. " +
				"The others have no such call: their users look at every key.",
			names: []string{"Prefix/remove=1000", "Prefix/remove=500000"},
			unit:  nsPerOp, more: []string{"p99.9-ns"},
		}}},
		{bench: "^BenchmarkHeap$", benchtime: "1x", rounds: 1, sections: []section{{
			title: "Memory of a million entries",
			text: "What a cache has on the heap for each entry, beside key and value; and while they are stored and then a million reads go on, one in ten a miss, how much of the processors' time the " +
				"garbage collector takes, and for how much of all time it stops everything.",
			names: []string{"Heap"},
			unit:  "B/entry", more: []string{"gc-%", "pause-%", cpuPerOp},
		}}},
	}
}

const codecText = "A record of 295 bytes of JSON. Most of a hit in Redis that is not the network is decoding. The default is encoding/json: everybody can read what is stored, " +
	"it needs no dependency, and it decodes what it encodes. Another one is a name and two functions; the others that are measured here are in " +
	"[codec_test.go](../benchmarks/codec_test.go), to be copied, and given as redisprovider.Options.Codec.\n\n" +
	"What was stored with another codec is a miss that is stored again, so that a change of codec needs no migration."

// redisWorkloads are those of stores outside of the process.
func redisWorkloads() []workload {
	return []workload{
		{bench: "^BenchmarkRedisHit$", benchtime: "150ms", sections: []section{{
			title: "Hits in Redis",
			text: "So many goroutines read a record of 295 bytes of JSON from a Redis on the same machine, which takes its part of the processors' time: cpu-ns is that of the reading process alone. " +
				"The limits are a GET by hand and the decoding of its answer. limit-autopipeline and rueidis send what several goroutines ask for together. " +
				"near-rueidis has what it read in the process, until Redis says that it has changed, and is no peer here.",
			names: []string{"RedisHit/goroutines=1", "RedisHit/goroutines=64", "RedisHit/goroutines=256"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp}, limit: "limit-get",
		}}},
		{bench: "^BenchmarkRedisBulk$", benchtime: "150ms", sections: []section{{
			title: "A hundred keys of Redis in a call",
			text:  "All stored. The limits are an MGET by hand and the decoding of its answers.",
			names: []string{"RedisBulk"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp}, limit: "limit-get",
		}}},
		{bench: "^BenchmarkRedisMiss$", benchtime: "100ms", sections: []section{{
			title: "Misses in Redis",
			text: "A miss, a load that takes no time, and a fill. readthrough takes three trips: it leases the key, so that what it stores cannot be older than an invalidation. " +
				"The others take two, and can store what is stale.",
			names: []string{"RedisMiss"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkRedisPrefix$", benchtime: "2x", rounds: 1, sections: []section{{
			title: "A family of keys among a million in Redis",
			text:  "Removing all keys that begin with a prefix, while another goroutine reads other keys; by hand with SCAN and UNLINK.",
			names: []string{"RedisPrefix/remove=1000", "RedisPrefix/remove=500000"},
			unit:  nsPerOp, more: []string{"p99.9-ns"},
		}}},
		{bench: "^BenchmarkCodec$", benchtime: "100ms", sections: []section{{
			title: "Codecs",
			text:  codecText,
			names: []string{"Codec/encode", "Codec/decode"},
			unit:  cpuPerOp, more: []string{allocsPerOp, bytesPerOp, "bytes"},
		}}},
	}
}
