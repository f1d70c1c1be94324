package redisprovider

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Defaults and limits of [Options].
const (
	// DefaultKeyPrefix is the prefix of all keys where none is given.
	DefaultKeyPrefix = "rt:"
	// DefaultMaxValueBytes is the size of the largest encoded value where none
	// is given: 8 MiB.
	DefaultMaxValueBytes = 8 << 20
	// DefaultScanCount is how many keys a step of a scan looks at where
	// no number is given. A step of a thousand keys takes Redis a fraction of a
	// millisecond, during which it serves nobody else.
	DefaultScanCount = 1000

	// DefaultWaitTimeout is the longest wait for replicas where none is given.
	DefaultWaitTimeout = 100 * time.Millisecond
	// DefaultBuckets is the number of buckets of a scope on a cluster where none is
	// given.
	DefaultBuckets = 16

	maxKeyPrefix      = 128
	limitBuckets      = 1024
	limitWaitReplicas = 100
	maxCodecName      = 32
	limitValueBytes   = 500 << 20 // Redis keeps strings of up to 512 MiB
	limitScanCount    = 100_000
	firstGraphicByte  = 0x21
	lastGraphicByte   = 0x7e
)

// Options configure a [Provider]. The zero value is useful.
type Options struct {
	// KeyPrefix begins every key, so that a server can be shared; empty means
	// [DefaultKeyPrefix]. It has up to 128 bytes of printable ASCII without
	// spaces and braces. Stores with different prefixes never meet.
	KeyPrefix string

	// Codec turns values into bytes; nil means [provider.JSON]. Its name is
	// asked for once and has 1 to 32 bytes. Processes that share entries use the
	// same codec: for each other's they are undecodable.
	Codec provider.Codec

	// MaxValueBytes is the size of the largest encoded value that is stored, in
	// bytes; zero means [DefaultMaxValueBytes]. Negative values and more than
	// 500 MiB are errors.
	MaxValueBytes int

	// ScanCount is how many keys of the server a step of a scan looks at, which
	// DeletePrefix needs to rebuild an index; zero means [DefaultScanCount]. More means fewer round trips, and longer
	// pauses for other clients of the server. Negative values and more than
	// 100,000 are errors.
	ScanCount int

	// Buckets is over how many slots of a cluster each scope is spread; zero means
	// [DefaultBuckets]. Deleting by prefix asks all of them. Processes that share a
	// cluster must agree on it: otherwise they do not see each other's entries and
	// invalidations. One server has one bucket, whatever this says. Negative values
	// and more than 1,024 are errors.
	Buckets int

	// FenceByServer binds entries and leases to the server that stored them, for as
	// long as it is the master: after a failover or a restart they are misses.
	// Without it a replica that is promoted, or a server that starts from an old
	// snapshot, may bring back what was invalidated, until its TTL ends. Every hit
	// is then read by a script instead of a GET. Processes that share entries
	// should agree on it: one with the fence takes nothing that one without it has
	// stored.
	FenceByServer bool

	// WaitReplicas is how many replicas must have a removal or a hold before it
	// counts, on a cluster of each master that is concerned. If fewer have it
	// after WaitTimeout, the call returns an error, though the master has done it.
	// A failover to one of those replicas then brings back nothing that was
	// removed; which replica is promoted is not the store's choice. Zero waits for
	// none; negative values are errors.
	WaitReplicas int

	// WaitTimeout bounds the wait for replicas; zero means [DefaultWaitTimeout].
	// It should be shorter than the ReadTimeout of the client. Negative values, and
	// a fraction of a millisecond, are errors.
	WaitTimeout time.Duration

	_ struct{}
}

// withDefaults returns the options with their zero fields filled in.
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
	return o
}

// validate reports everything that is wrong with options that have their
// defaults.
func (o Options) validate() error {
	return errors.Join(
		validateKeyPrefix(o.KeyPrefix),
		validateCodec(o.Codec),
		validateRange("MaxValueBytes", o.MaxValueBytes, limitValueBytes),
		validateRange("ScanCount", o.ScanCount, limitScanCount),
		validateRange("Buckets", o.Buckets, limitBuckets),
		validateRange("WaitReplicas", o.WaitReplicas, limitWaitReplicas),
		validateWaitTimeout(o.WaitTimeout),
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

func validateRange(field string, n, most int) error {
	if n < 0 || n > most {
		return fmt.Errorf("redisprovider: Options.%s: %d: must be from 0 to %d", field, n, most)
	}
	return nil
}

// isNil reports whether v is nil or an interface that holds a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
