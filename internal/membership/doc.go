// Package membership is the protocol between the processes that keep entries of a shared store in
// their memory: who may answer from it, until when, and for whom a removal waits. It is the lease of
// Gray and Cheriton ("Leases", SOSP 1989) with a numbered channel of messages in place of callbacks.
//
// The server keeps one record: an epoch, which is new whenever the server is another one or has lost
// the record, a sequence number, and the members. It does three things, each in one step:
//
//	announce   count the sequence number up, publish a message with it, return the members
//	beat       renew a member, and publish a beat with the sequence number to that member
//	ack        note up to which number a member has dropped what messages name
//
// All messages and beats of a member come over one subscription.
//
// # Invariants
//
// M1. A member has applied, or has dropped everything since, every message up to seen (state); except
// those of its own process, which drops by itself before its call returns.
//
// M2. A member answers from memory before its deadline only. A beat moves the deadline, if its number
// is seen: to the moment before the beat was sent, plus the lease. So the way that messages take is
// proven to be open, and that no message was lost, by the same thing.
//
// M3. A member acknowledges a number after what the messages up to it name can no longer be found in
// its memory, and can no longer be put there by what was read before.
//
// M4. A removal is carried out before it is announced, and returns after, for each member that was
// in the record when it was announced: the member has acknowledged its number; or the lease of the
// member is over since then; or the member has left the record in the same epoch.
//
// M5. Only who has waited for the lease of a member takes it out of the record, and only if nothing
// has renewed it since; or the member itself, after it has stopped to answer.
//
// M6. A removal that is announced in a new epoch waits until the epoch is as old as a lease.
//
// # Why no read is stale
//
// Take a removal that was announced with number s, at a moment a, and returned, and a read that begins
// after that and finds its value in the memory of a member. By M2, the deadline of the member was
// moved by a beat that was sent less than a lease before the read.
//
//  1. The beat was executed after a, in the same epoch. It has a number of at least s, so by M1 the
//     member had dropped what was removed.
//  2. It was executed before a, in the same epoch. Then the member was in the record at a, or had been
//     taken out between; by M5 its deadline was over then. If it was in the record, M4 says why the
//     removal has returned. It was acknowledged: by M3 it is not there. The lease is over: it began
//     after a, and so after the beat was sent, so the deadline is over. The member has left: the same
//     by M5.
//  3. It was executed in an older epoch. By M6 the removal has returned a lease after the new epoch
//     began, so the deadline is over.
//
// A member that is not strict is in no record. Its deadline is a window after the beat was sent. If a
// read begins more than a window after the removal returned, the beat of its deadline was sent after
// that return, and case 1 holds.
//
// No clock of another machine is compared, except the age of an epoch, which is two readings of the
// clock of the server.
package membership
