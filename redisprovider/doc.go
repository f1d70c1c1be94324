// Package redisprovider is the store that processes share: a
// [provider.CacheProvider] over a go-redis client, on one server, behind
// Sentinel, or on a cluster. It leases and holds keys ([provider.Leaser],
// [provider.Holder]), so that what a process invalidates is not stored again by
// another. It needs Redis 6.2 or later, or Valkey.
//
// # Keys
//
// What belongs to a scope lies under Redis keys that begin with the prefix and the
// scope in braces, on a cluster with the number of a bucket:
//
//	<KeyPrefix>{<scope>}:v:<name>   an entry, or a lease
//	<KeyPrefix>{<scope>}:h:<name>   the holds on a name
//	<KeyPrefix>{<scope>}:p          the holds on prefixes
//	<KeyPrefix>{<scope>}:i          the index: which entries and leases there are
//	<KeyPrefix>{<scope>#<bucket>}:… each of these on a cluster
//
// In the scope the bytes ':', '%', '{', '}' and '#' are written as '%' and two
// upper case hexadecimal digits, and everything else is left as it is: scope
// "maintenance" and name "system:7" make "rt:{maintenance}:v:system:7". The first
// '}' therefore ends the scope, whatever the name contains, and different keys
// never meet. On a cluster the bytes in the first braces decide the slot, so all
// that a script touches lies in one.
//
// The store touches no keys but those that begin with its prefix and '{'. It never
// sends FLUSHDB, FLUSHALL, KEYS or DBSIZE, so a server may be shared with
// anything else, and by stores with different prefixes.
//
// # Frames
//
// An entry is a frame: a few bytes that say what it is, until when it is fresh,
// how long its load took, which codec encoded it and of which type it is, and
// then the encoded value; see frame.go. A lease is a frame that has a token. Bytes
// that are no frame of a known version and kind, or of another codec, and Redis
// values that are no strings, are misses that are reported by
// [provider.ErrUndecodable]; they have to be deleted before the key can be leased,
// and a Set replaces them. One case goes unreported: MGET, which bulk reads use on
// one server, answers nil for a value that is no string, as for no value at all.
//
// # Round trips
//
//	                one server       cluster
//	Get             1 GET            1 GET
//	GetMany         1 MGET           1 pipeline of GET per node
//	Acquire         1 pipeline       1 pipeline per node   1 script per key
//	Refresh         1 pipeline       1 pipeline per node   1 script per key
//	Fill            1 pipeline       1 pipeline per node   1 script per entry
//	Release         1 pipeline       1 pipeline per node   1 script per lease
//	Set, SetMany    1 pipeline       1 pipeline per node   1 script per entry
//	Delete          1 UNLINK         1 pipeline of UNLINK per node
//	DeletePrefix    1, and 1 for     the same per node
//	                every 1,000 keys
//	Hold            1, and those of  the same per node
//	                DeletePrefix for each prefix
//	Unhold          1                1 pipeline of ZREM per node
//
// A hit is one round trip, a miss that is loaded and stored is three. All nodes are
// asked at the same time. Bulk calls with more than 10,000 keys, or more than
// 16 MiB of values to store, take one round trip for each such part. A server that
// does not know the scripts, because it was restarted, takes two more. Pipelines on
// a cluster also follow redirections; there is no CROSSSLOT.
//
// # Prefixes
//
// The index of a scope is a sorted set that the scripts which store write in the
// same step. It lists names that are gone until one of the writes, each of which
// looks at two members, comes across them: they make up less than about half. It
// has a marker that says that it is complete. Losing the index, by eviction or
// otherwise, loses the marker; then the next DeletePrefix has to scan all keys of
// the server, about a second for a million of them, to rebuild it, and so it has in
// a new scope. A rebuild goes on in the background when its caller gives up. An index
// that is not written to for a day or two longer than what it lists is dropped. If
// the server will not store an index, because it is out of memory or evicts it at
// once, each DeletePrefix is a scan.
//
// # Expiry
//
// The server's own clock decides when an entry, a lease or a hold ends; no clock of
// another machine is compared with it. Redis counts in milliseconds, so a TTL is
// rounded up to the next one, and Redis takes an entry for expired only when the
// millisecond of its end has passed: an entry may be found up to two milliseconds
// longer than its TTL. It counts from the arrival of the command. If the server's
// clock jumps forward, all of them end early, which only a hold minds; if it jumps
// back, they end late.
//
// # Eviction
//
// A server that evicts may evict anything. Losing an entry or a lease is a miss,
// losing an index is said above. Losing a hold ends it early: what [provider.Holder]
// closes is open then, as for a plain invalidation. Holds are used by every miss of
// their key and last for seconds, so an LRU policy hardly ever takes them.
// volatile-ttl is a bad choice: it evicts leases and holds first. Under noeviction a
// server that is full refuses to store, and everything can still be removed and
// held.
//
// # Deadlines and late commands
//
// go-redis looks at a context before it takes a connection and while it waits for
// one, but while it reads and writes only if the option ContextTimeoutEnabled is set;
// otherwise ReadTimeout and WriteTimeout bound the call. Both work: the cache
// leaves a call behind at its deadline. Setting ContextTimeoutEnabled is
// recommended: a server that hangs does not hold a goroutine and a connection for
// up to ReadTimeout, and since the store is then [provider.Punctual], a read takes
// about half of the processor's time. A Dialer of your own has to pay attention to
// its context.
//
// Requests cross a network, so a call that returned an error may still take
// effect later: the server may receive its command when the caller has long
// given up. For a read that is nothing, and UNLINK can only remove. A late acquire
// plants a lease that nobody has the token of, and that ends with its TTL: no
// transmission shares its token with another, and the client is kept from sending
// a script again by itself. So does a late refresh, beside the entry, which is served
// and not refreshed for that time. A late fill, extension or release does nothing
// unless the key still has its lease. Only a late Set could bring an old value back;
// the cache does not use Set with a store that has leases.
//
// # Failover, restart, and replicas
//
// Redis replicates asynchronously. A promoted replica may lack the last
// deletions that the old master confirmed, and a server that restarts from an
// old snapshot has the entries of that time; without an option, their TTL ends
// them. With [Options.FenceByServer] entries and leases count only as long as the
// server that stored them is the master: the cache is cold after a failover, and
// right. With [Options.WaitReplicas] a removal fails unless replicas confirm it.
// A master that does not know that it has been replaced goes on answering; its
// option min-replicas-to-write bounds what it confirms.
//
// Reads must see what was deleted, so they go to masters only. [New] refuses
// cluster clients that read from replicas and clients with a cache of their own;
// it cannot see that of a Sentinel client made with ReplicaOnly: do not use one.
//
// # Clusters whose slots move
//
// While a slot moves to another node, hits and Delete of its keys work as ever, and
// its misses are loaded and not stored. DeletePrefix removes key by key what the
// index lists. If the index has to be rebuilt, DeletePrefix fails until the slots of
// the scope have stopped moving, since a scan may miss keys that do. Processes that
// share a cluster must have the same [Options.Buckets].
//
// # Permissions
//
// TLS and users are options of the client. A user needs the keys ~<KeyPrefix>* and,
// besides what the client itself sends when it connects,
//
//	+get +mget +set +unlink +exists +getrange +type +time +scan
//	+evalsha +script|load
//	+zadd +zrem +zscore +zcount +zrange +zrangebylex +zrangebyscore
//	+zrandmember +zremrangebylex +zremrangebyscore
//	+pttl +pexpire +pexpireat +persist
//
// as well as +info with FenceByServer, +eval and +wait with WaitReplicas, and
// +cluster|nodes on a cluster.
package redisprovider
