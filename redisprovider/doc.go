// Package redisprovider is the store that processes share: a
// [provider.CacheProvider] over a go-redis client, on one server, behind
// Sentinel, or on a cluster.
//
// # Keys
//
// An entry lies under one Redis key,
//
//	<KeyPrefix><scope>:<name>
//
// in which the bytes ':', '%', '{' and '}' of the scope are written as '%' and
// two upper case hexadecimal digits, and everything else is left as it is:
// scope "maintenance" and name "system:7" make "rt:maintenance:system:7". The
// first ':' behind the prefix therefore ends the scope, whatever the name
// contains, and different keys never meet: ("a", "b:c") is "rt:a:b:c" and
// ("a:b", "c") is "rt:a%3Ab:c".
//
// The store touches no keys but those that begin with its prefix. It never
// sends FLUSHDB, FLUSHALL, KEYS or DBSIZE, so a server may be shared with
// anything else, as long as no other program writes keys with that prefix, and
// no prefix in use on the server is the beginning of another.
//
// On a cluster the slot of a key is that of its hash tag, the bytes between its
// first '{' and the next '}', if there are any. Prefix and scope contain no
// braces, so only a name can have a tag. That is harmless: a name such as
// list:{"status":"open"} shares its slot with other names that have the same
// text in braces, and nothing depends on which slot that is.
//
// # Frames
//
// A value is a frame: a few bytes that say what it is, until when it is fresh,
// how long its load took, which codec encoded it and of which type it is, and
// then the encoded value; see frame.go. Bytes that are no frame of a known
// version and kind, or of another codec, and Redis values that are no strings,
// are misses that are reported by [provider.ErrUndecodable]; a later Set
// replaces them. One case goes unreported: MGET, which bulk reads use on one
// server, answers nil for a value that is no string, as for no value at all.
//
// # Round trips
//
//	                one server     cluster
//	Get             1 GET          1 GET
//	Set             1 SET          1 SET
//	GetMany         1 MGET         1 pipeline of GET per node, at the same time
//	SetMany         1 pipeline     1 pipeline per node, at the same time
//	Delete          1 UNLINK       1 pipeline of UNLINK per node, at the same time
//	DeletePrefix    SCAN of the keyspace, ScanCount keys a round trip; on a
//	                cluster of every master, at the same time
//
// Bulk calls with more than 10,000 keys, or more than 16 MiB of values to store,
// take one round trip for each such part. Pipelines on a cluster also follow
// redirections, and no command in them names two keys: there is no CROSSSLOT.
//
// # Expiry
//
// The server's own clock decides when an entry ends; no clock of another
// machine is compared with it. Redis counts in milliseconds, so a TTL is rounded
// up to the next one, and Redis takes an entry for expired only when the
// millisecond of its end has passed: an entry may be found up to two
// milliseconds longer than its TTL. It counts from the arrival of the SET.
//
// # Deadlines and late commands
//
// go-redis looks at a context before it takes a connection and while it waits for
// one, but while it reads and writes only if the option ContextTimeoutEnabled is set;
// otherwise ReadTimeout and WriteTimeout bound the call. Both work: the cache
// leaves a call behind at its deadline. With ContextTimeoutEnabled a server that
// hangs does not also hold a goroutine and a connection for up to ReadTimeout,
// so setting it is recommended.
//
// Requests cross a network, so a call that returned an error may still take
// effect later: the server may receive its command when the caller has long
// given up. For Get that is nothing, and UNLINK can only remove. A SET, however,
// could bring an old value back after an invalidation that came in between.
// go-redis would add to this by sending a command again after a timeout, when
// the first copy may still be under way; so no SET is ever sent twice. What
// remains is the single copy of a Set that ended in an error; bounding that needs
// the server to refuse a fill that has been overtaken, which this version does
// not do. Its guarantees for other processes are those of a store without
// leases.
//
// # What a failover and a moving slot do
//
// Redis replicates asynchronously. A promoted replica may lack the last
// deletions that the old master confirmed, and a server that restarts from an
// old snapshot has the entries of that time; their TTL ends them. SCAN on a
// cluster may miss keys of a slot that is migrated from one node to another
// during the scan; keys that exist throughout on nodes that keep their slots are
// always found.
//
// Reads must see what was deleted, so they go to masters only. [New] refuses
// cluster clients that read from replicas and clients with a cache of their own;
// it cannot see that of a Sentinel client made with ReplicaOnly: do not use one.
package redisprovider
