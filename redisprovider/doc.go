// Package redisprovider is the store that processes share: a
// [provider.CacheProvider] over a go-redis client, on one server, behind Sentinel,
// or on a cluster. It leases and holds keys ([provider.Leaser], [provider.Holder]),
// so that no process stores again what another has invalidated. It needs Redis 6.2
// or later, or Valkey.
//
// # Keys
//
// The Redis keys of a scope begin with the prefix and the scope in braces; on a
// cluster, the braces also have the number of a bucket:
//
//	<KeyPrefix>{<scope>}:v:<name>   an entry, or a lease
//	<KeyPrefix>{<scope>}:h:<name>   the holds on a name
//	<KeyPrefix>{<scope>}:p          the holds on prefixes
//	<KeyPrefix>{<scope>}:l          those that last to their end, of ReplicaLag
//	<KeyPrefix>{<scope>}:i          the index: which entries and leases there are
//	<KeyPrefix>{<scope>#<bucket>}:… each of these on a cluster
//
// In the scope, the bytes ':', '%', '{', '}' and '#' are written as '%' and two
// upper case hexadecimal digits; all other bytes stay as they are. Scope
// "maintenance" and name "system:7" become "rt:{maintenance}:v:system:7". The first
// '}' therefore ends the scope, whatever the name contains, and different keys never
// collide. On a cluster the bytes in the first braces determine the slot, so all
// keys of one script are in one slot.
//
// The store uses only keys that begin with its prefix and '{'. It never sends
// FLUSHDB, FLUSHALL, KEYS or DBSIZE. A server may therefore hold other data too, and
// several stores with different prefixes.
//
// # Frames
//
// An entry is a frame: a few bytes with its kind, until when it is fresh, how long
// its load took, the codec and the type, followed by the encoded value; see
// frame.go. A lease is a frame with a token. Everything else is a miss with an error
// that matches [provider.ErrUndecodable]: bytes without a known version and kind,
// bytes of another codec, and Redis values that are not strings. Such a value has to
// be deleted before the key can be leased; a Set replaces it. In one case there is
// no error: bulk reads on one server use MGET, which answers nil for a value that is
// not a string, as it does for no value.
//
// # Round trips
//
//	                one server       cluster
//	Get             1 GET            1 GET
//	GetMany         1 MGET           1 pipeline of GET per node
//	Acquire         1 pipeline       1 pipeline per node   1 script per key
//	Refresh         1 pipeline       1 pipeline per node   1 script per key
//	Fill            1 pipeline       1 pipeline per node   1 script per entry
//	Release, Renew  1 pipeline       1 pipeline per node   1 script per lease
//	Set, SetMany    1 pipeline       1 pipeline per node   1 script per entry
//	Delete          1 pipeline       1 pipeline of UNLINK per node, then 1
//	DeletePrefix    1, and 1 for     the same per node, then 1
//	                every 1,000 keys
//	Hold            1, and those of  the same per node, then 1
//	                DeletePrefix for each prefix
//	GetTTL          1                1 pipeline per node   1 script per bucket
//	Unhold          1                1 pipeline of ZREM per node
//	Has             as Get           as Get
//	List            1 script         1 pipeline per node   1 script per bucket
//	Stats           1 INFO           1 INFO per master
//
// A hit takes one round trip; a miss that is loaded and stored takes three. All
// nodes are asked at the same time. A bulk call with more than 10,000 keys, or more
// than 16 MiB of values to store, takes one round trip per part of that size. If a
// server does not know the scripts, because it was restarted, the call takes two
// more. Pipelines on a cluster follow redirections; there is no CROSSSLOT error.
//
// Delete, DeletePrefix and Hold run a script behind what they remove: it asks whether
// there are near caches, and tells them. On one server it is in the same pipeline. On a
// cluster, and with WaitReplicas, it is a round trip of its own.
//
// # Near caches
//
// Memory in front of this store, in each process, is package near. The processes agree
// by one record and two channels:
//
//	<KeyPrefix>{:near}:r       the record: a hash with the epoch, a number and the members
//	<KeyPrefix>{:near}:c       the channel of what was removed
//	<KeyPrefix>{:near}:b:<id>  the channel of the heartbeats of a member
//
// There is no record before the first near cache, and for a day after the last one.
// Without a record, nothing is published, and nobody waits. Each near cache has one
// connection more, for its subscription, with RESP2 or RESP3. Its heartbeats are one
// script each, four in a window or lease.
//
// An invalidation removes, then publishes one message, whether it is for one key or for
// a prefix of a thousand keys, and gets the members that are strict. It waits until each
// has acknowledged, or has let its lease pass ([Options.NearLease]). It asks the record
// for acknowledgements, in one round trip for all invalidations of the process that
// wait. docs/near.md has the costs, and package internal/membership the argument.
//
// Each process that shares the server tells near caches, whether it has one or not.
// Processes of a version before this one do not: near caches would not hear of their
// invalidations. So bring all processes to this version first, and then switch near
// caches on.
//
// On a cluster, the record is on one node. If that fails over, every near cache is
// emptied, and an invalidation waits once, until a lease is over since then.
//
// # What is not ours
//
// Other programs, and tools that copy keys, may leave anything under the keys of the
// store. It heals. A lease without an end, or with more than a day left, gets the end
// of the lease that is asked for next. What is no hold counts as none, and is removed.
// An index that is no index, or whose members are out of order, is rebuilt. What is no
// entry is a miss with an error, and the cache deletes it. An entry without an end is
// legal: see [provider.NoExpiry]. A valid hold is respected whoever placed it.
//
// # Many holds
//
// All holds on a key or on a prefix that are left to their TTL, as those of ReplicaLag
// are, are one hold with the latest end. A miss looks up the prefixes of its name: that
// takes the same time, however many are held. Holds with tokens on prefixes, and holds
// on prefixes of more than 128 bytes, are looked at one by one. If there are 256 or more
// of them in a scope (on a cluster: in a bucket), every key of it counts as held. That
// costs loads, and never a stale value.
//
// Processes of a version before this one see a hold on the whole scope while a prefix
// is held that is left to its TTL, and cache nothing in it. They see all other holds as
// they are, and their holds are respected.
//
// # Prefixes
//
// The index of a scope is a sorted set. The scripts that store also write the index,
// in the same step. It may list names that are gone: each write looks at two members
// and drops those whose keys are gone, so fewer than about half are stale. A marker
// in the index says that it is complete. If the server loses the index, by eviction
// or otherwise, the marker is lost too. The next DeletePrefix then rebuilds the
// index, as it does in a new scope: it scans all keys of the server, about one
// second for a million. A rebuild continues in the background when its caller
// leaves. The server drops an index that nothing is written to, a day or two after
// the last entry that it lists. If the server cannot store an index, because it is
// out of memory or evicts it at once, every DeletePrefix is a scan.
//
// # Expiry
//
// The server's clock alone decides when an entry, a lease or a hold ends; it is
// never compared with the clock of another machine. Redis counts in milliseconds, so
// a TTL is rounded up to the next millisecond. Redis treats an entry as expired only
// after the millisecond of its end, so an entry may be found up to two milliseconds
// longer than its TTL. The TTL counts from the arrival of the command. If the
// server's clock jumps forward, entries, leases and holds end early; that weakens
// holds only. If it jumps back, they end late.
//
// # Eviction
//
// A server that evicts may evict anything. A lost entry or lease is a miss; for a
// lost index see above. A lost hold ends early: the gap that [provider.Holder]
// closes is then open, as with a plain invalidation. Every miss of a key reads its
// holds, and holds last for seconds, so an LRU policy hardly ever evicts them.
// volatile-ttl is a bad choice: it evicts leases and holds first. With noeviction, a
// full server refuses to store, but it still removes and holds.
//
// # Deadlines and late commands
//
// go-redis checks a context before it takes a connection and while it waits for one.
// While it reads and writes, it checks the context only if the option
// ContextTimeoutEnabled is set; otherwise ReadTimeout and WriteTimeout bound the
// call. Both settings work: the cache abandons a call at its deadline.
// ContextTimeoutEnabled is recommended. A server that hangs then does not occupy a
// goroutine and a connection for up to ReadTimeout. The store is then
// [provider.Punctual] too, and a read takes about half the processor time, unless the
// client has an OnConnect, a credentials provider or a Limiter: no deadline bounds these.
// A custom Dialer must honour its context.
//
// With ContextTimeoutEnabled, go-redis sets up a connection within the deadline of the
// call that needs it. That takes three or four round trips. If calls are late, the store
// sets up connections in the background, for up to the DialTimeout of the client, so that
// a server whose connections take long is used all the same.
//
// Requests cross a network, so a call that returned an error may still take effect later: the
// server may receive its command long after the caller has left. For a read this has no effect, and
// UNLINK can only remove. An acquire whose answer comes too late leaves a lease whose token nobody
// has. The store gives it back in the background, by the part of the token that the client has
// chosen, up to three times within about a second. If the acquire arrives after that, its lease
// ends with its TTL. Tokens are unique per transmission, and the client never retries a script. A
// late refresh adds such a lease to the entry, which is served and not refreshed until the lease is
// given back or ends. A late fill, extension, renewal or release does nothing unless the key still
// has its lease. Only a late Set could restore an old value, and the cache does not use Set with a
// store that has leases.
//
// # Failover, restart, and replicas
//
// Redis replicates asynchronously. A promoted replica may lack the last deletions
// that the old master confirmed. A server that restarts from an old snapshot has the
// entries of that time. Without one of the options below, these entries last until
// their TTL ends. With [Options.FenceByServer], entries and leases count only while
// the server that stored them is the master: after a failover the cache is cold, but
// correct. With [Options.WaitReplicas], a removal fails unless replicas confirm it.
// A master that does not know that it was replaced continues to answer. With both
// options, the store does not use a master that has fewer replicas than
// [Options.WaitReplicas].
//
// Reads go to masters only, because they must see every deletion. [New] refuses
// cluster clients that read from replicas, clients of NewFailoverClusterClient, and
// clients with a cache of their own. What [New] cannot see is found out at run time: a
// client whose servers are replicas, such as a Sentinel client with ReplicaOnly, is not
// used, because the first command is a write. If an address leads to replicas now and
// then, the first write that a replica refuses tells. For a minute after that, each read
// proves that it is at a master.
//
// # Layout
//
// A client of a cluster and one of a single server lay out their keys differently, and
// so do different numbers of [Options.Buckets]. Processes with different layouts would
// not see each other's invalidations. So the store keeps a marker with its layout, the
// key <KeyPrefix>{#}:layout. A call of a process that finds another marker returns an
// error that matches [ErrLayout]. The marker ends a minute after its last process. A
// process looks before its first call, and every 15 s while it is used; if the marker is
// evicted, two layouts go unnoticed for up to 15 s.
//
// # Clusters whose slots move
//
// While a slot moves to another node, hits and Delete of its keys work as usual. Its
// misses are loaded and not stored. DeletePrefix removes the listed keys one by one.
// If the index has to be rebuilt, DeletePrefix fails until the slots of the scope
// have stopped moving, because a scan may miss keys that move. Processes that share
// a cluster need the same [Options.Buckets].
//
// # Permissions
//
// TLS and users are options of the client. A user needs the keys ~<KeyPrefix>*, the
// commands that the client sends when it connects, and
//
//	+get +mget +set +unlink +exists +getrange +strlen +type +time +scan
//	+evalsha +script|load
//	+zadd +zrem +zscore +zmscore +zcount +zrange +zrangebylex +zrangebyscore
//	+zrandmember +zremrangebylex +zremrangebyscore
//	+pttl +pexpire +pexpireat +persist
//
// as well as +info for Stats and with FenceByServer, +eval and +wait with WaitReplicas, and
// +cluster|nodes and +asking on a cluster. If any process has a near cache, all need
//
//	+hset +hget +hmget +hgetall +hdel +hincrby +info +publish &<KeyPrefix>*
//
// and those with a near cache also
//
//	+subscribe +unsubscribe
//
// The cache looks a second after it was made whether the user has what it needs, and logs what is missing
// ([Provider.Advise]). Nothing more is needed for that.
//
// A user without the permission to run scripts can remove nothing: it could not tell near
// caches of it.
package redisprovider
