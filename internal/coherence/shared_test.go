//go:build unix

package coherence_test

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

const (
	maxProcesses = 3
	// announcements is for how many versions of a key it is known when they were
	// announced.
	announcements = 256
)

// Phases of a run.
const (
	phaseStarting = iota
	phaseRunning
	phaseStopping // what is under way ends, and what is pending is retried
	phaseOver
)

// word is what the processes of a fleet share: it is read and written atomically.
type word = atomic.Int64

// header is the beginning of the shared memory.
type header struct {
	phase   word
	gate    word // not zero: writes wait between the change and the invalidation
	atGate  word // how many do
	primary word // which server the clients connect to
	faulty  word // not zero: a fault is on
	healed  word // when the last fault ended
	down    word // not zero: the source fails
	process [maxProcesses]counters
}

// counters are what a process has done.
type counters struct {
	ready, settled word
	pending        word // invalidations that are pending now

	reads, failed  word // failed: reads that returned an error
	hits, misses   word
	joined, loads  word
	refused        word
	served         word // stale values that were served instead of a load, or of its error
	refreshes      word // loads in the background
	sampled        word // hits that were compared with the source
	sampledStale   word // those among them that were found stale
	unmodified     word // loads that found the stored value to be still right
	put            word // values that writes have stored
	nearHits       word // hits in the memory of the process
	withinWindow   word // stale reads that a near cache which is bounded may bring
	oldestNear     word // how old the oldest of those was, or of those that it may not bring, ns
	sourceErrors   word // reads that returned the error of the source
	writes         word
	confirmed      word // invalidations that returned nil
	unconfirmed    word // invalidations that were pending when they returned
	notHeld        word // mutations that were refused before the write
	violations     word // reads of less than what was announced to the reader
	own            word // those among them of what this process announced
	stale          word // reads of less than what was announced or left pending anywhere
	staleAfter     word // those among them when no fault was on
	oldest         word // how long ago what they should have seen was announced, ns
	oldestSinceEnd word // how long after the end of the fault such a read began, ns
}

// shared is the memory of a fleet.
type shared struct {
	*header

	source []word // the source of truth: a version for each key
	// floor is the highest version of each key that was announced by an
	// invalidation that returned nil, own what each process announced to itself,
	// whatever its invalidation returned, and all the highest of those.
	floor, all []word
	own        [maxProcesses][]word
	announced  log // of what was announced in any way
	confirmed  log // of what was announced by an invalidation that returned nil
}

// log has announcements for each key: the version, and when it was announced.
type log struct{ version, at []word }

func (l log) add(key int, version int64) {
	slot := key*announcements + int(version%announcements)
	l.at[slot].Store(time.Now().UnixNano())
	l.version[slot].Store(version)
}

// sharedSize returns the size of the memory for n keys.
func sharedSize(n int) int {
	words := n * (3 + maxProcesses + 4*announcements)
	return int(unsafe.Sizeof(header{})) + words*int(unsafe.Sizeof(word{}))
}

// openShared maps the file at path, which has the right size.
func openShared(path string, keys int) (*shared, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	mem, err := syscall.Mmap(int(f.Fd()), 0, sharedSize(keys), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	// The mapping stays until the process ends.
	s := &shared{header: (*header)(unsafe.Pointer(&mem[0]))}
	rest := unsafe.Slice((*word)(unsafe.Pointer(&mem[unsafe.Sizeof(header{})])), keys*(3+maxProcesses+4*announcements))
	take := func(n int) []word {
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	s.source, s.floor, s.all = take(keys), take(keys), take(keys)
	for i := range s.own {
		s.own[i] = take(keys)
	}
	s.announced = log{take(keys * announcements), take(keys * announcements)}
	s.confirmed = log{take(keys * announcements), take(keys * announcements)}
	return s, nil
}

// newShared makes the file of a fleet.
func newShared(t *testing.T, keys int) (*shared, string) {
	t.Helper()
	path := t.TempDir() + "/shared"
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(int64(sharedSize(keys))))
	require.NoError(t, f.Close())
	s, err := openShared(path, keys)
	require.NoError(t, err)
	for i := range s.source {
		s.source[i].Store(1)
	}
	return s, path
}

// announce says that an invalidation of process p that followed version of key
// has returned; confirmed, that it returned nil.
func (s *shared) announce(p, key int, version int64, confirmed bool) {
	s.announced.add(key, version)
	if confirmed {
		s.confirmed.add(key, version)
	}
	raise(&s.own[p][key], version)
	raise(&s.all[key], version)
	if confirmed {
		raise(&s.floor[key], version)
	}
}

// since returns for how long, when a read began, it had been known that version
// of key was old.
func (l log) since(key int, version, all int64, began time.Time) time.Duration {
	earliest := began.UnixNano()
	for v := max(version+1, all-announcements+1); v <= all; v++ {
		slot := key*announcements + int(v%announcements)
		if at := l.at[slot].Load(); l.version[slot].Load() == v {
			earliest = min(earliest, at)
		}
	}
	return time.Duration(began.UnixNano() - earliest)
}

func raise(n *word, to int64) {
	for {
		old := n.Load()
		if old >= to || n.CompareAndSwap(old, to) {
			return
		}
	}
}
