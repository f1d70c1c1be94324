package redisprovider

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/provider"
)

// Defaults and limits of [Options].
const (
	// DefaultKeyPrefix is the default of [Options.KeyPrefix].
	DefaultKeyPrefix = "rt:"
	// DefaultMaxValueBytes is the default of [Options.MaxValueBytes], 8 MiB.
	DefaultMaxValueBytes = 8 << 20
	// DefaultScanCount is the default of [Options.ScanCount]. A step over a
	// thousand keys takes Redis a fraction of a millisecond, during which it serves
	// no other client.
	DefaultScanCount = 1000

	// DefaultWaitTimeout is the default of [Options.WaitTimeout].
	DefaultWaitTimeout = 100 * time.Millisecond
	// DefaultNearLease is the default of [Options.NearLease].
	DefaultNearLease = membership.DefaultLease
	// DefaultBuckets is the default of [Options.Buckets].
	DefaultBuckets = 16

	leastNearLease    = provider.MinWindow
	mostNearLease     = 10 * time.Second
	maxKeyPrefix      = 128
	limitBuckets      = 1024
	limitWaitReplicas = 100
	maxCodecName      = 32
	limitValueBytes   = 500 << 20 // Redis stores strings of up to 512 MiB
	limitScanCount    = 100_000
	firstGraphicByte  = 0x21
	lastGraphicByte   = 0x7e
)

// Options configure a [Provider]. The zero value is useful.
type Options struct {
	// KeyPrefix is the beginning of every key, such as "shop:". Empty means
	// [DefaultKeyPrefix]. It has at most 128 bytes of printable ASCII without
	// spaces and braces. Stores with different prefixes can share a server: their
	// keys never collide.
	KeyPrefix string

	// Codec encodes values, for example one for protocol buffers. nil means
	// [provider.JSON]. New reads its name, 1 to 32 bytes, which must not change.
	// Processes that share entries must use the same codec: entries of another
	// codec are undecodable. A codec other than the default decodes every value once
	// when it is stored, to see whether it comes back as it is; see AllowLossy and
	// [provider.Comparer].
	Codec provider.Codec

	// AllowLossy stores values although they will not come back as they are, such as
	// true. Without it, a value of which the codec loses a part is not stored: for
	// JSON, a field that is unexported or has the tag json:"-", for example. In both
	// cases the cache reports it once per type. A value that cannot be decoded at all
	// is not stored either way. See [provider.Checker].
	AllowLossy bool

	// MaxValueBytes is the most bytes that an encoded value and its validator may
	// have together, such as 1<<20. Zero means [DefaultMaxValueBytes]. Negative
	// values and more than 500 MiB are errors.
	MaxValueBytes int

	// ScanCount is the number of keys that one step of a scan looks at, such as
	// 5000. DeletePrefix scans the server to rebuild an index. Zero means
	// [DefaultScanCount]. A larger number means fewer round trips, and longer
	// pauses for other clients of the server. Negative values and more than 100,000
	// are errors.
	ScanCount int

	// Buckets is the number of parts of each scope on a cluster, such as 64; each
	// part has its own slot. Zero means [DefaultBuckets]. DeletePrefix asks all
	// buckets. Processes that share a cluster must use the same number: otherwise
	// they do not see each other's entries and invalidations. On one server there
	// is always one bucket. Negative values and more than 1,024 are errors.
	Buckets int

	// FenceByServer binds entries and leases to the server that stored them, while
	// it is the master: after a failover or a restart they are misses. Without it,
	// a promoted replica, or a server that starts from an old snapshot, may bring
	// back invalidated entries until their TTL ends. With it, every hit runs a
	// script instead of a GET. Processes that share entries should agree on it: a
	// process with the fence ignores what a process without it has stored. Together
	// with WaitReplicas, it also closes the time in which there are two masters.
	FenceByServer bool

	// WaitReplicas is the number of replicas that have to confirm a removal or a
	// hold, such as 1; on a cluster, of each master that the call concerns. If
	// fewer confirm it within WaitTimeout, the call returns an error, although the
	// master has done it. A failover to a replica that confirmed brings back no
	// removed entry; the store does not choose which replica is promoted. With
	// FenceByServer, a master that has fewer replicas is not used at all: another may
	// have replaced it. If WaitReplicas is at least half of the replicas, such as 1 of
	// 2, then of two masters one is not used. Zero waits for none. Negative values
	// and more than 100 are errors.
	WaitReplicas int

	// WaitTimeout is the longest wait for replicas, in whole milliseconds, such as
	// 200*time.Millisecond. Zero means [DefaultWaitTimeout]. It should be shorter
	// than the ReadTimeout of the client. Other values below one millisecond are
	// errors, negative ones too.
	WaitTimeout time.Duration

	// NearLease is how long an invalidation waits for another process that has a strict near cache
	// (package near) and does not answer: a process that has died, or is cut off. Shorter means more
	// heartbeats. It must be less than InvalidateTimeout of the cache, 1 s by default, or such an
	// invalidation is pending first. All processes that share the server must use the same. Zero means
	// 500 ms; less than 20 ms, more than 10 s and negative values are errors. Example:
	// 300 * time.Millisecond.
	NearLease time.Duration

	// NearCaches says that other processes have near caches in front of the same entries, such as true.
	// A process without a near cache finds that out by its first invalidation, and remembers it. Only
	// if the server has just lost everything, and this process has invalidated nothing before, it cannot:
	// set it, if near caches are strict. It changes nothing otherwise.
	NearCaches bool

	_ struct{}
}

// withDefaults returns the options with defaults in place of zero values.
func (o Options) withDefaults() Options {
	if o.KeyPrefix == "" {
		o.KeyPrefix = DefaultKeyPrefix
	}
	if o.Codec == nil {
		o.Codec = provider.JSON()
	}
	if o.MaxValueBytes == 0 {
		o.MaxValueBytes = DefaultMaxValueBytes
	}
	if o.ScanCount == 0 {
		o.ScanCount = DefaultScanCount
	}
	if o.Buckets == 0 {
		o.Buckets = DefaultBuckets
	}
	if o.WaitTimeout == 0 {
		o.WaitTimeout = DefaultWaitTimeout
	}
	if o.NearLease == 0 {
		o.NearLease = DefaultNearLease
	}
	return o
}

// validate returns all errors of options, joined. Defaults are already set.
func (o Options) validate() error {
	return errors.Join(
		validateKeyPrefix(o.KeyPrefix),
		validateCodec(o.Codec),
		validateRange("MaxValueBytes", o.MaxValueBytes, limitValueBytes),
		validateRange("ScanCount", o.ScanCount, limitScanCount),
		validateRange("Buckets", o.Buckets, limitBuckets),
		validateRange("WaitReplicas", o.WaitReplicas, limitWaitReplicas),
		validateWaitTimeout(o.WaitTimeout),
		validateNearLease(o.NearLease),
	)
}

func validateKeyPrefix(prefix string) error {
	if len(prefix) > maxKeyPrefix {
		return fmt.Errorf("redisprovider: Options.KeyPrefix: has %d bytes, at most %d are allowed", len(prefix), maxKeyPrefix)
	}
	for i := range len(prefix) {
		c := prefix[i]
		if c < firstGraphicByte || c > lastGraphicByte {
			return fmt.Errorf("redisprovider: Options.KeyPrefix: byte %d of %q: only printable ASCII without spaces is allowed", i, prefix)
		}
		if c == '{' || c == '}' {
			return fmt.Errorf("redisprovider: Options.KeyPrefix: byte %d of %q: braces are not allowed, they would decide the slot of every key on a cluster", i, prefix)
		}
	}
	return nil
}

func validateCodec(codec provider.Codec) error {
	if isNil(codec) {
		return fmt.Errorf("redisprovider: Options.Codec: a nil %T", codec)
	}
	if n := len(codec.Name()); n < 1 || n > maxCodecName {
		return fmt.Errorf("redisprovider: Options.Codec: the name of %T has %d bytes, must have 1 to %d", codec, n, maxCodecName)
	}
	return nil
}

func validateWaitTimeout(d time.Duration) error {
	if d < time.Millisecond {
		return fmt.Errorf("redisprovider: Options.WaitTimeout: %v: must be at least a millisecond, or 0 for the default", d)
	}
	return nil
}

func validateNearLease(d time.Duration) error {
	if d < leastNearLease || d > mostNearLease {
		return fmt.Errorf("redisprovider: Options.NearLease: %v: must be from %v to %v, or 0 for the default", d, leastNearLease, mostNearLease)
	}
	return nil
}

func validateRange(field string, n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("redisprovider: Options.%s: %d: must be from 0 to %d", field, n, most)
	}
	return nil
}

// isNil reports whether v is nil or holds a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
