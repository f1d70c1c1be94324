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
	medianNs    = "median-ns"
)

// workloads are all that is measured, in the order of the page. Where the number of
// operations is given, it matters for what is measured: keys must not run out, and
// a trace is read once.
func workloads() []workload {
	return slices.Concat(memoryWorkloads(), redisWorkloads(), nearWorkloads())
}

// nearWorkloads are those of memory in front of a store outside of the process.
func nearWorkloads() []workload {
	return []workload{
		{bench: "^BenchmarkNearHit$", benchtime: "200ms", sections: []section{{
			title: "Hits in memory in front of Redis",
			text: "A thousand keys that are in the process and in Redis. readthrough-near is [the near cache](near.md), which hears of every invalidation. The others hear of none by other processes, " +
				"but for rueidis-docache, which may miss some when its connection breaks. The ratios *to the limit* refer to readthrough's store in memory, with nothing behind it. " +
				"go-redis-cache-local and rueidis-docache keep bytes, and decode them for each hit.",
			names: []string{"NearHit/one", "NearHit/all"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp}, limit: library,
		}}},
		{bench: "^BenchmarkNearBulk$", benchtime: "200ms", sections: []section{{
			title: "A hundred keys in memory in front of Redis",
			text:  "All hundred keys are in the process. The ratios *to the limit* refer to readthrough's store in memory, with nothing behind it.",
			names: []string{"NearBulk"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp}, limit: library,
		}}},
		{bench: "^BenchmarkNearFar$", benchtime: "200ms", sections: []section{{
			title: "What the memory in front of Redis does not have",
			text:  "What a near cache costs where it does not help: keys that are in Redis only, and keys that are nowhere. readthrough is Redis alone, and what the ratios *to the limit* refer to.",
			names: []string{"NearFar/hit", "NearFar/miss"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp}, limit: library,
		}}},
		{bench: "^BenchmarkNearInvalidate$", benchtime: "300x", sections: []section{{
			title: "Invalidations beside near caches",
			text: "One of so many processes on this machine invalidates a key, again and again. readthrough-redis has no near cache, so nobody is told, and the ratios *to the limit* refer to it. readthrough-bounded tells all processes. " +
				"readthrough-strict also waits until each of them has dropped the key. messages/op is what all processes together have got, and bytes/op what went in and out of Redis, with the heartbeats meanwhile. " +
				"All processes share the processors: on machines of their own, the processes drop at the same time.",
			names: []string{"NearInvalidate/processes=2", "NearInvalidate/processes=3", "NearInvalidate/processes=10", "NearInvalidate/processes=30"},
			unit:  medianNs, more: []string{"p99-ns", "messages/op", "bytes/op", cpuPerOp}, limit: "readthrough-redis",
		}}},
	}
}

// memoryWorkloads are those of stores in the process.
func memoryWorkloads() []workload {
	return []workload{
		{bench: "^BenchmarkHit$", benchtime: "200ms", sections: []section{{
			title: "Hits in memory",
			text: "Reads of stored keys, in random order. *one* is one goroutine; *all* is one goroutine for each processor. " +
				"A thousand keys stay in the processor's caches. With 100,000 keys, most reads wait for memory. " +
				"readthrough always counts its hits; otter counts them only in otter-counting.",
			names: []string{"Hit/keys=1000/one", "Hit/keys=1000/all", "Hit/keys=100000/one", "Hit/keys=100000/all"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkKeyBuilt$", benchtime: "200ms", sections: []section{{
			title: "Hits with a key that is made in the call",
			text: "The same with 100,000 keys. Each read makes its key from a prefix and a number, as services do. " +
				"readthrough appends the key to a buffer (Family). The others have no such call, and make a string.",
			names: []string{"KeyBuilt/one", "KeyBuilt/all"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkPolicy$", benchtime: "1000000x", rounds: 2, sections: []section{{
			title: "Which entries stay",
			text: "A cache of 10,000 entries, and three patterns of reads: *zipf* reads 100,000 keys by popularity (exponent 0.99); *scan* is the same, but every other read " +
				"belongs to a scan that reads each key once; *loop* reads 12,500 keys in a loop. limit-optimum holds the keys that are read most often, and no others. " +
				"readthrough's policy is bad at loops: a key of a loop comes back when the policy is about to forget it. A cache that keeps a sketch of " +
				"how often keys were read is better there. [Decisions](decisions.md) says what was tried.",
			names: []string{"Policy/zipf", "Policy/scan", "Policy/loop"},
			unit:  "hit-%", more: []string{cpuPerOp}, most: true,
		}}},
		{bench: "^BenchmarkMiss$", benchtime: "150000x", sections: []section{{
			title: "Misses",
			text: "A miss, a load that takes no time, a fill, and an eviction: what a library adds to a load. The limits evict nothing.\n\n" +
				"ristretto and the limits have the single flight of x/sync around them. It runs the load in the goroutine of its caller, as the single flights of the other libraries do: " +
				"a reader that waits cannot leave, and the cancellation of one caller cancels all. otter-raw has no single flight. " +
				"readthrough runs each load in a goroutine of its own, so a reader can leave and the load goes on for the others. That is more than half of the cost of a miss.\n\n" +
				"The ratios refer to limit-leavable. otter-leavable and limit-leavable are otter-raw and limit-xsync with DoChan, the form of x/sync's single flight " +
				"that lets readers leave: the least that can be compared. They still fill a key that was invalidated meanwhile.",
			names: []string{"Miss/one", "Miss/all"},
			unit:  cpuPerOp, limit: "limit-leavable", more: []string{nsPerOp, allocsPerOp, bytesPerOp},
		}}},
		{bench: "^BenchmarkStampede$", benchtime: "10x", sections: []section{{
			title: "A thousand readers at once",
			text: "A thousand goroutines read one cold key, or a thousand cold keys, from a source that takes 10 ms. With a thousand keys, " +
				"the libraries whose readers can leave have two thousand goroutines.",
			names: []string{"Stampede/one_key", "Stampede/as_many_keys"},
			unit:  nsPerOp, more: []string{cpuPerOp, "loads/op"},
		}}},
		{bench: "^BenchmarkBulk$", benchtime: "150ms", sections: []section{{
			title: "A hundred keys in a call",
			text:  "*hits*: all hundred keys are stored. *half*: every other key was never read before, and the source takes no time.",
			names: []string{"Bulk/hits/one", "Bulk/hits/all", "Bulk/half/one"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp, bytesPerOp},
		}}},
		{bench: "^BenchmarkInvalidate$", benchtime: "100000x", sections: []section{{
			title: "Invalidations",
			text: "An invalidation of one stored key. readthrough's does two things more: a load that is under way neither stores the old value, nor gives it to readers " +
				"that come later. otter's does the first of the two.",
			names: []string{"Invalidate"},
			unit:  cpuPerOp, more: []string{nsPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkPrefix$", benchtime: "3x", rounds: 1, sections: []section{{
			title: "A family of keys among a million",
			text: "All keys that begin with a prefix are removed, while another goroutine reads other keys. p99.9-ns is the time of the slowest of a thousand of those reads. " +
				"The others have no such call: their users look at every key.",
			names: []string{"Prefix/remove=1000", "Prefix/remove=500000"},
			unit:  nsPerOp, more: []string{"p99.9-ns"},
		}}},
		{bench: "^BenchmarkHeap$", benchtime: "1x", rounds: 1, sections: []section{{
			title: "Memory of a million entries",
			text: "What a cache has on the heap for each entry, beside key and value. The other columns cover the storing, and a million reads after it, one in ten a miss: gc-% is the part of the " +
				"processors' time that the garbage collector takes, and pause-% is the part of all time in which it stops everything.",
			names: []string{"Heap"},
			unit:  "B/entry", more: []string{"gc-%", "pause-%", cpuPerOp},
		}}},
	}
}

const codecText = "A record of 295 bytes of JSON. Most of a hit in Redis that is not the network is decoding. The default is encoding/json: every program can read what is stored, " +
	"it needs no dependency, and it decodes what it encodes. Another codec is a name and two functions. The other codecs that are measured here are in " +
	"[codec_test.go](../benchmarks/codec_test.go). Copy one, and set redisprovider.Options.Codec to it.\n\n" +
	"If a value was stored with another codec, a read of it is a miss, and the value is stored again. So a change of codec needs no migration."

// redisWorkloads are those of stores outside of the process.
func redisWorkloads() []workload {
	return []workload{
		{bench: "^BenchmarkRedisHit$", benchtime: "150ms", sections: []section{{
			title: "Hits in Redis",
			text: "1, 64 or 256 goroutines read a record of 295 bytes of JSON from a Redis on the same machine. Redis takes its part of the processors' time; cpu-ns is the time of the reading process alone. " +
				"The limits are a GET by hand and the decoding of its answer. limit-autopipeline and rueidis send the requests of several goroutines together. " +
				"near-rueidis keeps in the process what it read, until Redis says that it has changed. So it is no peer here.",
			names: []string{"RedisHit/goroutines=1", "RedisHit/goroutines=64", "RedisHit/goroutines=256"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp}, limit: "limit-get",
		}}},
		{bench: "^BenchmarkRedisBulk$", benchtime: "150ms", sections: []section{{
			title: "A hundred keys of Redis in a call",
			text:  "All hundred keys are stored. The limits are an MGET by hand and the decoding of its answers.",
			names: []string{"RedisBulk"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp}, limit: "limit-get",
		}}},
		{bench: "^BenchmarkRedisMiss$", benchtime: "100ms", sections: []section{{
			title: "Misses in Redis",
			text: "A miss, a load that takes no time, and a fill. readthrough takes three round trips: it leases the key, so that the value that it stores cannot be older than an invalidation. " +
				"The others take two, and can store a stale value.",
			names: []string{"RedisMiss"},
			unit:  nsPerOp, more: []string{cpuPerOp, allocsPerOp},
		}}},
		{bench: "^BenchmarkRedisPrefix$", benchtime: "2x", rounds: 1, sections: []section{{
			title: "A family of keys among a million in Redis",
			text:  "All keys that begin with a prefix are removed, while another goroutine reads other keys. By hand, this takes SCAN and UNLINK.",
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
