/*
 * The lease protocol: two processes (A, B), one key, one prefix that covers it,
 * a store that both share. README.md says what is modelled and what is not, and
 * maps every step to the code; check.sh runs it.
 *
 * A value is the number of changes of the source that it has seen: src counts
 * them. A change and the begin of the invalidation that follows it are one step,
 * which is the strictest reading of G1 and G2: whatever was loaded before an
 * invalidation began is an older value than the one it announces.
 *
 * Requests may be lost, late, or executed several times; answers may be lost.
 * Nothing has to be done for "lost" and "crashed": in a search of all schedules,
 * that is a step that is never taken, while whoever waits may give up at any time.
 *
 * Configuration, all by -D:
 *   READERS_A, READERS_B    reads, at most 4 in all
 *   REFRESH_A, REFRESH_B    refreshes in the background, 0 or 1
 *   INVAL_A, INVAL_B        invalidations of the key, 0 to 2
 *   PREFIX_A, PREFIX_B      invalidations of the prefix, 0 or 1
 *   HOW=2                   reads ask like refreshes, since entries are kept when they are stale
 *   PUT_B                   a write whose value is stored
 *   MUTATE_A                mutations with a hold on the key (1) or the prefix (2)
 *   INDEX                   the prefix is removed by an index that can get lost
 *   FAULTS                  whoever invalidates may get no answer
 *   CRASH                   process A may crash, once, and start anew
 *   BAD_...                 a variant that lacks a mechanism
 *   SEEN_...                something that must be possible: it is an error, for once
 */

#define A 0
#define B 1

#ifndef READERS_A
#define READERS_A 0
#endif
#ifndef READERS_B
#define READERS_B 0
#endif
#ifndef REFRESH_A
#define REFRESH_A 0
#endif
#ifndef REFRESH_B
#define REFRESH_B 0
#endif
#ifndef INVAL_A
#define INVAL_A 0
#endif
#ifndef INVAL_B
#define INVAL_B 0
#endif
#ifndef PREFIX_A
#define PREFIX_A 0
#endif
#ifndef PREFIX_B
#define PREFIX_B 0
#endif
#ifndef PUT_B
#define PUT_B 0
#endif
#ifndef HOW
#define HOW 1
#endif
#ifndef MUTATE_A
#define MUTATE_A 0
#endif

/* Flights: one for each reader, which it may lead, and for each refresh. */
#define READERS (READERS_A + READERS_B)
#define FLIGHTS (READERS + REFRESH_A + REFRESH_B + PUT_B)
/* Those who invalidate. */
#define WRITERS (INVAL_A + INVAL_B + PREFIX_A + PREFIX_B + 1)

#define BIT(i) (1 << (i))
/* The readers of a process. */
#define OF(p) ((p) == A -> BIT(READERS_A) - 1 : (BIT(READERS_B) - 1) << READERS_A)

#define NONE 0    /* no value, no lease, no flight */
#define ORPHAN 15 /* a lease that nobody knows: the answer was lost, or a late copy planted it */

/* What the store answers. */
#define FOUND 1
#define GRANTED 2
#define BUSY 3
#define HELD 4
#define STORED 5

/* ---- the source, and what was promised */

byte src = 1;       /* the value that a load reads now */
byte announced = 1; /* the highest value whose invalidation has returned nil */
byte pendingSeen[2]; /* the same for calls that returned "pending", for readers of that process */
byte heldMin;       /* the highest value that was written under a hold */

/* ---- the store: one key with its index and holds */

byte entry; /* the value stored; NONE */
byte lease; /* beside the entry, or alone; NONE. 1 + flight for the lease that the flight knows: each
             * token is unique, so that the key holds it, or never will again. */
byte holds; /* who holds the key */
#ifdef INDEX
bool listed, complete;  /* the index has the key; it lacks nothing */
byte rebuild; /* whose rebuild's token the index has */
byte present; /* who has begun a scan since when the key has been there */
bool beginSent[WRITERS], endSent[WRITERS];
#endif
#ifdef BAD_LOADED_AT
byte now, entryAt, knownAt[FLIGHTS], loadedAt[FLIGHTS]; /* a clock, and when things were loaded */
#endif

/* ---- requests on their way */

byte asking[FLIGHTS]; /* an acquire (1) or refresh (2) that somebody waits for */
byte asked[FLIGHTS];  /* such a request was sent: copies may arrive at any time */
bool filling[FLIGHTS]; /* a fill was sent: it, or copies, may arrive at any time */
byte answer[FLIGHTS], found[FLIGHTS]; /* on its way back */

/* ---- the processes */

byte open[2];      /* 1 + the flight that readers may join; NONE */
byte pendingKey[2], pendingPrefix[2]; /* versions of invalidations that were not confirmed; NONE */
byte version[2];   /* of the latest invalidation */
byte begun;        /* the readers that have boarded */
byte value[FLIGHTS]; /* the outcome; NONE: an error */
byte may[FLIGHTS];   /* the readers that began before the flight's bound */
byte sent[FLIGHTS];  /* those that began before the fill was sent */
bool landed[FLIGHTS];
#ifdef CRASH
byte life[2];
#define UP (life[p] == mine)
#define BORN mine = life[p]
#else
#define UP true
#define BORN skip
#endif

#define PENDING(p) (pendingKey[p] || pendingPrefix[p])
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* G2: nothing that was loaded before an invalidation began is stored after it has
 * returned nil. With a hold, not even after the write. */
inline checkStore() {
	assert(entry == NONE || entry >= announced);
	assert(entry == NONE || entry >= heldMin)
}

/* G1: what a read returns. fresh is what had been announced when it began. */
inline checkRead(v) {
	assert(v >= fresh)
}

/* ---- steps of the store; each is one script or command */

/* A fill whose lease is gone is refused whenever it arrives: it is forgotten. */
#if defined(BAD_FILL_UNCHECKED) || defined(BAD_TOKEN_PER_CLIENT) || defined(BAD_TOKEN_BY_CLIENT) || defined(BAD_LOADED_AT)
#define FORGET skip
#define FILLABLE(f) true
#else
#define FORGET if :: lease && lease != ORPHAN -> filling[lease - 1] = false :: else fi
#define FILLABLE(f) (lease == 1 + (f))
#endif

/* keyGone: the key is removed, whoever did it. */
inline keyGone() {
	FORGET;
	entry = NONE;
	lease = NONE;
#ifdef INDEX
	present = 0
#endif
}

inline unlink() {
#ifdef BAD_INVALIDATION_LEAVES_LEASE
	entry = NONE
#else
	keyGone()
#endif
#ifdef BAD_INVALIDATION_DROPS_HOLD
	; holds = 0
#endif
}

inline list() {
#ifdef INDEX
#ifdef BAD_LISTED_WHEN_COMPLETE
	listed = listed || complete
#else
	listed = true
#endif
#else
	skip
#endif
}

#ifdef BAD_TOKEN_PER_CLIENT
#define TOKEN(f, p) (1 + (p))
#else
#define TOKEN(f, p) (1 + (f))
#endif

#ifdef BAD_HOLD_IGNORED
#define HOLDING false
#else
#define HOLDING holds
#endif

/* What asks cannot just be given the entry. A refresh can: the entry need not be
 * the one that the caller knows. */
#define MISSES (!entry || asking[f] == 2)

#ifdef BAD_FILL_UNCHECKED
#define MAYFILL true
#else
#ifdef BAD_LOADED_AT
#define MAYFILL (knownAt[f] && entry && entryAt == knownAt[f] || !knownAt[f] && lease == TOKEN(f, p))
#else
#define MAYFILL (lease == TOKEN(f, p))
#endif
#endif

/* Net executes what flight f of process p has sent. */
proctype Net(byte f; byte p) {
end:
	do
	/* acquire.lua; Refresher.Refresh */
	:: atomic { asking[f] ->
		if
		:: MISSES && HOLDING && !lease -> answer[f] = HELD
		:: MISSES && lease -> answer[f] = BUSY
		:: MISSES && !lease && !HOLDING ->
			answer[f] = GRANTED; found[f] = entry; lease = TOKEN(f, p); list()
#ifdef BAD_LOADED_AT
			; knownAt[f] = (entry -> entryAt : 0)
#endif
		:: entry && !(asking[f] == 2 && HOLDING) -> answer[f] = FOUND; found[f] = entry
		fi;
		asking[f] = 0 }
	/* A copy of it arrives late. Each execution makes another token. */
	:: d_step { asked[f] && !asking[f] && !lease && !holds && (!entry || asked[f] == 2) ->
#ifdef BAD_TOKEN_BY_CLIENT
		lease = TOKEN(f, p);
#else
		lease = ORPHAN;
#endif
		list() }
	/* fill.lua */
	:: d_step { filling[f] && MAYFILL ->
#ifdef SEEN_REFRESH
		assert(!(entry && value[f] > entry && begun));
#endif
#ifdef BAD_LOADED_AT
		entryAt = loadedAt[f];
#endif
		entry = value[f]; lease = NONE; filling[f] = false; list();
		if :: !landed[f] -> answer[f] = STORED :: else fi;
		checkStore() }
	od
}

/* Decay: leases and entries end, are evicted, or are removed by a late copy of a
 * removal, at any time. release.lua is the end of a lease. */
proctype Decay() {
end:
	do
	:: d_step { lease -> FORGET; lease = NONE; if :: !entry -> keyGone() :: else fi }
	:: d_step { entry -> keyGone() }
#ifdef INDEX
	/* the index is evicted, with what marks it complete */
	:: d_step { listed || complete ->
		listed = false; complete = false;
		rebuild = 0 }
	/* trim, index.lua */
	:: d_step { listed && !entry && !lease -> listed = false }
#endif
#ifdef BAD_LOADED_AT
	:: d_step { now < 1 -> now++ }
#endif
	od
}

/* ---- flights */

/* bind: readers that began before now may take the outcome. */
inline bind(f) { may[f] = begun & OF(p) }

inline startLoad(f) {
	bind(f)
#ifdef BAD_LOADED_AT
	; loadedAt[f] = 1 + now
#endif
}

inline detach(f) { if :: open[p] == 1 + f -> open[p] = NONE :: else fi }

/* fly brings the outcome of flight f: how is 1 for a miss, 2 for a refresh. */
inline fly(f, how) {
	if
	:: direct -> atomic { UP -> startLoad(f); goto load }
	:: else
	fi;
ask:
	atomic { UP ->
#ifndef BAD_FOUND_UNBOUND
		bind(f);
#else
		may[f] = OF(p);
#endif
		asking[f] = how; asked[f] = how };
	/* its answer, or none */
	atomic { UP ->
		if
		:: answer[f] == FOUND -> value[f] = found[f]; found[f] = NONE; answer[f] = 0; goto land
		:: answer[f] == GRANTED -> answer[f] = 0; leased = true
		:: answer[f] == BUSY -> answer[f] = 0;
			if
			:: goto ask
			:: skip
			fi
		:: answer[f] == HELD -> answer[f] = 0
		:: asking[f] || answer[f] == GRANTED -> /* no answer in time */
			asking[f] = 0;
#if !defined(BAD_TOKEN_PER_CLIENT) && !defined(BAD_TOKEN_BY_CLIENT)
			if :: answer[f] == GRANTED && lease == 1 + f -> lease = ORPHAN :: else fi;
#endif
			answer[f] = 0; found[f] = NONE
		fi;
		startLoad(f) };
load:
	atomic { UP ->
		if
		:: value[f] = src
		:: leased -> leased = false /* the load failed */
#ifdef BAD_SPARE_OF_FLIGHT
			; value[f] = found[f]
#endif
		fi;
		found[f] = NONE };
	if
	:: !leased -> goto land
	:: else
	fi;
	/* fillLeased */
	atomic { UP ->
#ifndef BAD_FILL_WINDOW
		detach(f);
#endif
		sent[f] = begun & OF(p);
		leased = false;
		if
#ifndef BAD_FILL_WHILE_PENDING
		:: PENDING(p) -> goto land
#endif
		:: else -> filling[f] = FILLABLE(f)
		fi };
	/* its answer, or none */
	atomic { UP ->
		if
		:: answer[f] == STORED -> answer[f] = 0;
#ifdef BAD_FILL_WINDOW
			bind(f)
#else
			may[f] = sent[f]
#endif
		:: skip
		fi };
land:
	atomic { UP -> detach(f); sent[f] = 0; landed[f] = true; answer[f] = 0; leased = false }
}

#ifdef BAD_READ_WHILE_PENDING
#define BYPASS(p) false
#else
#define BYPASS(p) PENDING(p)
#endif

/* Reader r is one read. The readers of a process begin in their order. */
proctype Reader(byte r; byte p; byte before) {
	byte fresh, f;
	bool direct, leased;
#ifdef SEEN_LATE_JOINER
	bool late;
#endif
#ifdef CRASH
	byte mine;
#endif
	/* It begins, asks the store and boards. This is one step: what comes from a miss
	 * or from no answer does not depend on when it came, and who begins later may
	 * expect no less. */
	atomic { (begun & before) == before ->
		BORN;
		fresh = MAX(announced, pendingSeen[p]);
		goto begins };
get:
	atomic { UP ->
begins:
		begun = begun | BIT(r);
		if
		:: entry && !BYPASS(p) -> checkRead(entry); goto out
		:: open[p] -> f = open[p] - 1
#ifdef SEEN_LATE_JOINER
			; late = value[f] /* the load has returned */
#endif
		:: !open[p] -> open[p] = 1 + r; f = r; direct = BYPASS(p); goto lead
		fi };
	/* join */
	atomic { UP && landed[f] ->
		if
		:: !value[f] -> goto out /* an error, or the stale value that this reader has found itself */
		:: !value[f] -> goto get /* a refresh that left the key to others */
#ifdef BAD_NO_BOUND
		:: value[f] -> checkRead(value[f]); goto out
#else
		:: value[f] && (may[f] & BIT(r)) ->
#ifdef SEEN_LATE_JOINER
			assert(!late);
#endif
			checkRead(value[f]); goto out
		:: value[f] && !(may[f] & BIT(r)) -> goto get /* late: once more */
#endif
		fi };
lead:
	fly(r, HOW);
	atomic { UP && landed[r] -> if :: value[r] -> checkRead(value[r]) :: else fi };
out:
	atomic { fresh = 0; f = 0; direct = false }
}

/* Refresh is a load in the background, for an entry that is still served. */
proctype Refresh(byte r; byte p) {
	bool direct, leased;
#ifdef CRASH
	byte mine;
#endif
end: /* nobody need ever ask for it */
	atomic { !open[p] && !PENDING(p) && entry -> BORN; open[p] = 1 + r };
	fly(r, 2)
}

/* ---- invalidations */

inline raise(what, to) { what = MAX(what, to) }

/* begin: the change of the source, and endEpochs. */
inline begin() {
	src++;
	announces = src;
	version[p] = src;
	open[p] = NONE
}

/* confirmed: conclude, for what the store has removed. What is pending of a later
 * version stays so. */
inline confirmed(v) {
	if
	:: pendingKey[p] && pendingKey[p] <= v -> raise(announced, pendingKey[p]); pendingKey[p] = NONE
#ifdef SEEN_RECOVERY
		; assert(false)
#endif
#ifdef BAD_CONFIRMS_ALL_VERSIONS
	:: pendingKey[p] > v -> pendingKey[p] = NONE
#endif
	:: else
	fi;
	if :: prefix && pendingPrefix[p] && pendingPrefix[p] <= v -> raise(announced, pendingPrefix[p]); pendingPrefix[p] = NONE :: else fi;
#ifndef BAD_FENCE_BEFORE_ONLY
	open[p] = NONE
#else
	skip
#endif
}

/* failed: conclude, for what it has not. */
inline failed(v) {
	if
	:: prefix -> raise(pendingPrefix[p], v)
	:: else -> raise(pendingKey[p], v)
	fi;
	open[p] = NONE
}

/* remove asks the store; ok says that it has confirmed. */
inline remove() {
	ok = false;
#ifdef INDEX
	if
	:: !prefix
#ifdef FAULTS
	:: goto removed /* lost */
#endif
	:: prefix -> goto prefixed
	fi;
#endif
	if
	:: d_step { UP -> unlink(); ok = true }; 
#ifdef FAULTS
		if
		:: ok = false /* the answer is lost */
		:: skip
		fi
	:: skip /* lost */
#endif
	fi;
#ifdef INDEX
	goto removed;
prefixed:
	/* prefix.lua */
	atomic { UP ->
		if
#ifdef BAD_INCOMPLETE_TRUSTED
		:: true ->
#else
		:: complete ->
#endif
			if :: listed -> unlink(); listed = false :: else fi;
			ok = true; goto removed
#ifdef FAULTS
		:: complete ->
			if :: listed -> unlink(); listed = false :: else fi;
			goto removed /* the answer is lost */
		:: goto removed /* lost, here or in the rebuild */
#endif
#ifndef BAD_INCOMPLETE_TRUSTED
		:: !complete
#endif
		fi };
	/* rebuild_begin.lua */
	atomic { UP ->
		endSent[w] = false; beginSent[w] = true;
		if
		:: complete -> goto prefixed
		:: else -> rebuild = rebuild | BIT(w)
		fi };
	/* SCAN: finds what is there all the time, and may find the rest */
	d_step { UP -> present = (entry || lease -> present | BIT(w) : present & ~BIT(w)) };
	/* rebuild_add.lua */
	atomic { UP ->
		if
		:: complete -> goto prefixed
		:: !complete && !(rebuild & BIT(w)) -> goto prefixed
		:: !complete && (rebuild & BIT(w)) ->
			if
			:: listed = true
			:: !(present & BIT(w))
			fi
		fi;
		present = present & ~BIT(w) };
	/* rebuild_end.lua */
	atomic { UP ->
		endSent[w] = true;
		if
		:: goto prefixed /* Rebuilds executes it, or never */
		fi };
removed:
#endif
	skip
}

#ifdef INDEX
#ifdef BAD_REBUILD_UNCHECKED
#define REBUILDING true
#else
#define REBUILDING (rebuild & BIT(w))
#endif

/* Rebuilds executes the ends of rebuilds, and late copies of their begins. */
proctype Rebuilds(byte w) {
end:
	do
	:: d_step { endSent[w] && REBUILDING && !complete ->
		complete = true; endSent[w] = false;
#ifdef SEEN_REBUILD
		assert(!listed);
#endif
		rebuild = 0 }
#ifdef BAD_REBUILD_TOKEN_BY_CLIENT
	:: d_step { beginSent[w] && !complete && !(rebuild & BIT(w)) -> rebuild = rebuild | BIT(w) }
#endif
	od
}
#endif

/* Invalidate is one invalidation w, with its retries. */
proctype Invalidate(byte w; byte p; bool prefix) {
	byte announces, v;
	bool ok;
#ifdef CRASH
	byte mine;
#endif
	atomic { BORN; begin(); v = announces };
try:
	remove();
	atomic { UP ->
		if
		:: ok ->
			confirmed(v);
			if :: announces -> raise(announced, announces) :: else fi;
			checkStore()
		:: else ->
			failed(v);
			if :: announces -> raise(pendingSeen[p], announces) :: else fi
		fi;
		announces = 0; /* it has returned: what follows are retries */
		ok = false;
		v = 0;
		if
		:: prefix && !pendingPrefix[p] || !prefix && !pendingKey[p] -> goto out
		:: else
		fi };
	atomic { UP ->
		if
		:: prefix && !pendingPrefix[p] || !prefix && !pendingKey[p] -> goto out
		:: else -> v = version[p]; goto try
		fi };
out:
	skip
}

/* Put writes and stores what it wrote: flight f, which nobody joins. */
proctype Put(byte f; byte p) {
	bool leased;
	atomic { open[p] = NONE };
	d_step { unlink() };
	atomic { open[p] = NONE; asking[f] = 1; asked[f] = 1 };
	atomic {
		if
		:: answer[f] == GRANTED -> answer[f] = 0; leased = true
		:: answer[f] && answer[f] != GRANTED -> answer[f] = 0
		:: asking[f] || answer[f] == GRANTED -> /* no answer in time */
			asking[f] = 0;
			if :: answer[f] == GRANTED && lease == 1 + f -> lease = ORPHAN :: else fi;
			answer[f] = 0
		fi;
		found[f] = NONE };
	atomic { src++; value[f] = src }; /* the write */
	if
	:: leased
	:: else -> goto drop
	fi;
	atomic {
		if
		:: PENDING(p) -> goto drop
		:: else -> filling[f] = FILLABLE(f)
		fi };
	atomic {
		if
		:: answer[f] == STORED -> answer[f] = 0;
#ifdef SEEN_PUT
			assert(false);
#endif
			goto done
#ifdef BAD_PUT_UNCONFIRMED
		:: goto done
#endif
		:: true
		fi };
drop:
	/* it is not stored, or that is not known: an invalidation */
	atomic { landed[f] = true; answer[f] = 0; open[p] = NONE };
	d_step { unlink() };
done:
	atomic { if :: landed[f] -> open[p] = NONE :: else fi; raise(announced, value[f]); checkStore() }
}

/* Mutate is one mutation with a hold on the key or the prefix, and Invalidate. */
proctype Mutate(byte w; byte p; bool prefix) {
	byte announces;
	bool ok;
#ifdef CRASH
	byte mine;
#endif
	BORN;
	/* hold.lua, or for a prefix the hold and then the removal */
	if
	:: !prefix -> d_step { UP -> holds = holds | BIT(w); keyGone() }
#ifdef BAD_HOLD_AFTER_REMOVAL
	:: prefix -> d_step { UP -> keyGone() }; d_step { UP -> holds = holds | BIT(w) }
#else
	:: prefix -> d_step { UP -> holds = holds | BIT(w) }; d_step { UP -> keyGone() }
#endif
	fi;
	/* the write */
	atomic { UP -> src++; announces = src; heldMin = announces; checkStore() };
	/* the invalidation, which may be pending, and the end of the hold */
	atomic { UP -> version[p] = announces; open[p] = NONE };
	if
	:: d_step { UP -> unlink(); ok = true };
	:: skip
	fi;
	atomic { UP ->
		if
		:: ok -> confirmed(announces)
		:: failed(announces)
		fi;
		ok = false };
	d_step { UP -> holds = holds & ~BIT(w) };
	/* it returns, whether that is pending or not */
	atomic { UP -> raise(announced, announces); checkStore(); announces = 0 }
}

/* A hold ends by itself, but not before the write has. */
proctype HoldEnds() {
end:
	do
	:: d_step { holds && heldMin -> holds = 0 }
	od
}

#ifdef CRASH
proctype Crash(byte p) {
	atomic { life[p]++; open[p] = NONE; pendingKey[p] = NONE; pendingPrefix[p] = NONE; version[p] = 0; pendingSeen[p] = 0 }
}
#endif

init {
	byte i, w;
	atomic {
		if
		:: entry = NONE
		:: entry = 1
#ifdef INDEX
			; listed = true
#endif
#ifdef BAD_LOADED_AT
			; entryAt = 1
#endif
		fi;
#ifdef INDEX
		if
		:: complete = true
		:: complete = false
		fi;
#endif
		do
		:: i < READERS_A -> run Reader(i, A, BIT(i) - 1); run Net(i, A); i++
		:: i >= READERS_A && i < READERS -> run Reader(i, B, (BIT(i) - 1) & OF(B)); run Net(i, B); i++
		:: else -> break
		od;
		if :: REFRESH_A -> run Refresh(i, A); run Net(i, A); i++ :: else fi;
		if :: REFRESH_B -> run Refresh(i, B); run Net(i, B); i++ :: else fi;
		if :: PUT_B -> run Put(i, B); run Net(i, B); i++ :: else fi;
		do
		:: w < INVAL_A -> run Invalidate(w, A, false); w++
		:: w >= INVAL_A && w < INVAL_A + INVAL_B -> run Invalidate(w, B, false); w++
		:: else -> break
		od;
		if :: PREFIX_A -> run Invalidate(w, A, true); w++ :: else fi;
		if :: PREFIX_B -> run Invalidate(w, B, true); w++ :: else fi;
		if
		:: MUTATE_A -> run Mutate(w, A, MUTATE_A == 2); run HoldEnds()
		:: else
		fi;
		run Decay();
#ifdef INDEX
		i = 0;
		do
		:: i < WRITERS -> run Rebuilds(i); i++
		:: else -> break
		od;
#endif
#ifdef CRASH
		run Crash(A);
#endif
		i = 0; w = 0
	}
}
