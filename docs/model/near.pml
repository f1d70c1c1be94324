/* Near caches: two processes with memory in front of a shared store, one key. Process 0 changes the source and
 * invalidates; both read. README.md, "Near caches", says what is asserted and what each part is in the code.
 *
 * A value is the number of the change of the source that it has seen. Time is a counter; a lease, or a window,
 * is LEASE of its steps. Messages may be lost or come twice, the server may be replaced, and every process may
 * stop between any two of its steps for any time.
 */
#ifndef LEASE
#define LEASE 2
#endif
#ifndef END
#define END 5 /* the last moment */
#endif
#ifndef READS_A /* reads of process 0, and of process 1 */
#define READS_A 0
#endif
#ifndef READS_B
#define READS_B 2
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef BEATS
#define BEATS 2
#endif

#define READS(i) (i == 0 -> READS_A : READS_B)

byte now;
byte source = 1;

/* ---- the server */
byte far = 1;        /* the stored value; 0: none */
byte epoch = 1, seq; /* of the record */
byte born;           /* when epoch 2 began */
bool listed[2] = true;
byte acked[2], stamp[2];

/* ---- the processes */
byte memory[2] = 1; /* 0: nothing */
byte fence[2];
byte deadline[2];
byte known[2] = 1, seen[2]; /* epoch and number, see state.go */

byte announced;          /* the version that the last invalidation has announced, in all */
byte announcedAt[WRITES + 2];

chan messages[2] = [4] of { bool, byte, byte, byte }; /* a beat or not, epoch, number, when a beat was sent */

inline drop(i) { memory[i] = 0; fence[i]++ }

/* publish sends to i, loses it, or sends it twice. A queue that is full loses it. */
inline publish(i, beat, at) {
	if
	:: len(messages[i]) < 4 -> messages[i]!beat, epoch, seq, at
	:: len(messages[i]) < 3 -> messages[i]!beat, epoch, seq, at; messages[i]!beat, epoch, seq, at
#ifdef LOSS
	:: true
#else
	:: len(messages[i]) == 4
#endif
	fi
}

active proctype Clock() {
	do
	:: now < END -> now++
	od
}

#ifdef NEW_SERVER
/* The server is another one: it has no record of the members, and the entry or not. */
active proctype NewServer() {
	atomic {
		epoch = 2; seq = 0; born = now;
		listed[0] = false; listed[1] = false;
		acked[0] = 0; acked[1] = 0;
		if
		:: far = 0
		:: true
		fi
	}
}
#endif

/* Listen takes what comes: member.go, deliver and beatBack. */
proctype Listen(byte i) {
	bool beat; byte e, s, at;
	do
	:: messages[i]?beat, e, s, at ->
		if
		:: beat ->
			atomic {
#ifdef BAD_DEADLINE_FROM_ANSWER
				at = now;
#endif
				if
#ifdef BAD_BEAT_WITH_GAP
				:: e == known[i] && s >= seen[i]
#else
				:: e == known[i] && s == seen[i]
#endif
				:: e == known[i] && s < seen[i] -> goto next
				:: else -> drop(i); known[i] = e; seen[i] = s
				fi;
				if
				:: at + LEASE > deadline[i] -> deadline[i] = at + LEASE
				:: else
				fi
			}
		:: else ->
#ifdef BAD_ACK_BEFORE_DROP
			atomic {
				if
				:: e == epoch && s > acked[i] -> acked[i] = s
				:: else
				fi
			}
#endif
			if
			:: i == 1 -> atomic { drop(i) }
			:: else /* its own: Tell */
			fi;
			atomic {
				if
				:: known[i] == 0
				:: known[i] != 0 && e != known[i] -> known[i] = 0; seen[i] = 0; deadline[i] = 0; drop(i)
				:: known[i] != 0 && e == known[i] && s <= seen[i]
				:: known[i] != 0 && e == known[i] && s == seen[i] + 1 -> seen[i] = s
				:: known[i] != 0 && e == known[i] && s > seen[i] + 1 ->
					seen[i] = s; drop(i)
				fi
				/* acknowledge.lua: an acknowledgement that comes later only lets others wait */
				if
				:: known[i] == epoch && listed[i] && seen[i] > acked[i] -> acked[i] = seen[i]
				:: else
				fi
			}
		fi;
next:		atomic { beat = 0; e = 0; s = 0; at = 0 }
	od
}

/* Beat: member.go, beat; beat.lua. */
proctype Beat(byte i) {
	byte at, n;
	do
	:: n < BEATS ->
		n++;
		at = now;
		atomic {
#ifndef BOUNDED
			listed[i] = true; stamp[i]++;
			if
			:: known[i] == epoch && seen[i] > acked[i] -> acked[i] = seen[i]
			:: else
			fi;
#endif
			publish(i, true, at)
		}
	:: n == BEATS -> break
	od
}

/* Read: memory/store.go, live; near/read.go, getFar and keep. */
proctype Read(byte i) {
	byte floor, d, v, t, p, n;
	do
	:: n < READS(i) ->
		n++;
		atomic { /* it begins */
			floor = announced;
#ifdef BOUNDED
			if
			:: i == 1 ->
				floor = 0; v = 1;
				do
				:: v <= announced ->
					if
					:: announcedAt[v] + LEASE < now -> floor = v
					:: else
					fi;
					v++
				:: else -> break
				od
			:: else
			fi
#endif
		};
#ifndef BAD_DEADLINE_AFTER
		d = deadline[i];
#endif
		atomic { v = memory[i]; t = now };
#ifdef BAD_DEADLINE_AFTER
		d = deadline[i];
#endif
		if
		:: v != 0 && t < d -> assert(v >= floor)
		:: else ->
			p = fence[i];
			atomic {
				v = far; /* the answer comes later */
				if
				:: v == 0 -> v = source; far = v /* a load, and its fill under a lease: see lease.pml */
				:: else
				fi
			};
			atomic {
				if
#ifndef BAD_NO_FENCE
				:: p == fence[i] -> memory[i] = v
				:: else
#else
				:: true -> memory[i] = v
#endif
				fi
			}
		fi
	:: n == READS(i) -> break
	od
}

/* Invalidate: redisprovider/near.go and membership/channel.go, Await. */
active proctype Invalidate() {
	byte version, e, s, at, since, until, n;
	bool waits;
	do
	:: n < WRITES ->
		n++;
		atomic { source++; version = source };
#ifdef BAD_LOCAL_FIRST
		atomic { drop(0) };
#endif
		far = 0;
		atomic { /* announce.lua */
			seq++;
			e = epoch; s = seq; at = now;
			publish(1, false, 0); /* its own message tells process 0 nothing */
			waits = listed[1] && acked[1] < s;
			since = stamp[1];
			until = 0;
			if
#ifndef BAD_NO_BIRTH
			:: epoch == 2 -> until = born + LEASE
#endif
			:: else
			fi
		};
#ifndef BOUNDED
		if
		:: waits ->
			if
			:: e == epoch && acked[1] >= s
			:: now >= at + LEASE -> atomic { /* leave.lua */
					if
					:: e == epoch && stamp[1] == since -> listed[1] = false
					:: else
					fi
				}
			fi
		:: else
		fi;
		now >= until;
#endif
#ifndef BAD_LOCAL_FIRST
		atomic { drop(0) };
#endif
		atomic { announced = version; announcedAt[version] = now }
	:: n == WRITES -> break
	od
}

init {
	atomic {
		deadline[0] = END + 1; /* what its own invalidations promise it does not rest on time */
		deadline[1] = LEASE; /* of a beat that was sent at 0 */
#ifdef COLD
		memory[1] = 0;
#endif
		run Listen(1);
		if
		:: BEATS > 0 -> run Beat(1)
		:: else
		fi;
		if
		:: READS_A > 0 -> run Read(0)
		:: else
		fi;
		if
		:: READS_B > 0 -> run Read(1)
		:: else
		fi
	}
}
