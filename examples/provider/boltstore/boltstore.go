// Package boltstore keeps the entries of a cache in a bbolt file. It is an example
// of a store that does not come with the library: it implements only the four
// methods of [provider.CacheProvider].
//
// The file belongs to one process, and Open empties it: changes while the file was
// closed were not invalidated in it.
package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/readthrough/readthrough/provider"
)

// The buckets of the file.
var (
	entries  = []byte("entries")  // entryKey to record
	expiries = []byte("expiries") // expiry and entryKey, to find what expires next
)

// maxValue is the size of the largest encoded value, in bytes.
const maxValue = 1 << 20

// sweep is the most expired entries that one Set removes. It is more than one, so
// that the file does not grow if the rate of writes is constant.
const sweep = 8

// Store is a store in a file. It is safe for concurrent use.
type Store struct {
	db      *bbolt.DB
	checker *provider.Checker // encodes values
	// opened is the origin of the clock of expiries. The clock is monotonic, which
	// a time in a file that outlives the process could not be.
	opened time.Time
}

// record is an entry in the file.
type record struct {
	// Expires is the end of the entry, counted from Store.opened; the largest
	// duration for NoExpiry.
	Expires time.Duration
	// Entry is the entry without the fields below.
	Entry     provider.Entry
	Type      string // the type of the value, as provider.TypeName returns it
	Data      []byte // the encoded value
	Validator []byte // not a string: JSON would change bytes that are not valid UTF-8
}

// Open creates an empty store in the file at path.
func Open(path string) (*Store, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	// A cache need not survive a crash of the machine, so nothing waits for the
	// disk.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("boltstore: open %s: %w", path, err)
	}
	s := &Store{db: db, checker: provider.NewChecker(provider.JSON()), opened: time.Now()}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(entries)
		_, err2 := tx.CreateBucket(expiries)
		return errors.Join(err, err2)
	})
	return s, err
}

// Close closes the file. The cache calls it when it is closed.
func (s *Store) Close() error { return s.db.Close() }

// Get implements [provider.CacheProvider]. It returns an encoded value, because
// only the reader knows the type.
func (s *Store) Get(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	err = s.run(ctx, s.db.View, func(tx *bbolt.Tx) error {
		r, ok, err := lookUp(tx, entryKey(key.Scope, key.Name))
		if err != nil || !ok || r.Expires <= time.Since(s.opened) {
			return err
		}
		entry, found = r.Entry, true
		entry.Validator = string(r.Validator)
		if !entry.Absent {
			entry.Value = provider.Encoded{Data: r.Data, Type: r.Type, Codec: provider.JSON()}
		}
		return nil
	})
	return entry, found, err
}

// Encode implements [provider.Encoder].
func (s *Store) Encode(entry provider.Entry) (provider.Entry, error) {
	if entry.Absent {
		return entry, nil
	}
	encoded, err := s.checker.Encode(entry.Value)
	if err != nil {
		return entry, err
	}
	entry.Value = encoded
	return entry, nil
}

// Set implements [provider.CacheProvider].
func (s *Store) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	if err := provider.CheckTTL(ttl); err != nil {
		return err
	}
	r := record{Expires: s.expiry(ttl), Entry: entry, Validator: []byte(entry.Validator)}
	r.Entry.Value, r.Entry.Validator = nil, ""
	if !entry.Absent {
		encoded, err := s.checker.Encode(entry.Value)
		if err == nil && len(encoded.Data) > maxValue {
			err = fmt.Errorf("boltstore: %w: %d bytes", provider.ErrTooLarge, len(encoded.Data))
		}
		if err != nil {
			return errors.Join(err, s.Delete(ctx, key)) // the old value must not remain
		}
		r.Type, r.Data = encoded.Type, encoded.Data
	}
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.run(ctx, s.db.Update, func(tx *bbolt.Tx) error {
		if err := s.removeExpired(tx); err != nil {
			return err
		}
		at := entryKey(key.Scope, key.Name)
		if _, err := s.remove(tx, at); err != nil {
			return err
		}
		return errors.Join(tx.Bucket(entries).Put(at, value), tx.Bucket(expiries).Put(expiryKey(r.Expires, at), nil))
	})
}

// Delete implements [provider.CacheProvider]. It removes all keys in one
// transaction.
func (s *Store) Delete(ctx context.Context, keys ...provider.Key) error {
	return s.run(ctx, s.db.Update, func(tx *bbolt.Tx) error {
		for _, key := range keys {
			if _, err := s.remove(tx, entryKey(key.Scope, key.Name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeletePrefix implements [provider.CacheProvider]. The keys are sorted, so its
// cost depends only on how many entries it removes.
func (s *Store) DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error) {
	err = s.run(ctx, s.db.Update, func(tx *bbolt.Tx) error {
		from := entryKey(scope, prefix)
		c := tx.Bucket(entries).Cursor()
		// Seek again from the start: a cursor is not valid after a removal.
		for at, _ := c.Seek(from); bytes.HasPrefix(at, from); at, _ = c.Seek(from) {
			live, err := s.remove(tx, bytes.Clone(at))
			if err != nil {
				return err
			}
			if live {
				removed++
			}
		}
		return nil
	})
	return removed, err
}

// run runs f in a transaction, unless ctx has ended.
func (s *Store) run(ctx context.Context, transaction func(func(*bbolt.Tx) error) error, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := transaction(f)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return fmt.Errorf("boltstore: %w", provider.ErrClosed)
	}
	return err
}

// remove removes an entry, if there is one, and reports whether it was live.
func (s *Store) remove(tx *bbolt.Tx, at []byte) (live bool, err error) {
	r, ok, err := lookUp(tx, at)
	if err != nil || !ok {
		return false, err
	}
	return r.Expires > time.Since(s.opened),
		errors.Join(tx.Bucket(entries).Delete(at), tx.Bucket(expiries).Delete(expiryKey(r.Expires, at)))
}

// removeExpired removes some of the expired entries.
func (s *Store) removeExpired(tx *bbolt.Tx) error {
	now := expiryKey(time.Since(s.opened), nil)
	for range sweep {
		first, _ := tx.Bucket(expiries).Cursor().First()
		if first == nil || bytes.Compare(first[:8], now) > 0 {
			break
		}
		if _, err := s.remove(tx, bytes.Clone(first[8:])); err != nil {
			return err
		}
	}
	return nil
}

// expiry returns the end of an entry that is stored now for ttl.
func (s *Store) expiry(ttl time.Duration) time.Duration {
	if now := time.Since(s.opened); ttl < math.MaxInt64-now {
		return now + ttl
	}
	return math.MaxInt64
}

func lookUp(tx *bbolt.Tx, at []byte) (r record, ok bool, err error) {
	value := tx.Bucket(entries).Get(at)
	if value == nil {
		return r, false, nil
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return r, false, fmt.Errorf("boltstore: %w: %w", provider.ErrUndecodable, err)
	}
	return r, true, nil
}

// entryKey joins scope and name. The length of the scope comes first, so different
// pairs have different keys. A prefix of a name becomes a prefix of the key.
func entryKey(scope, name string) []byte {
	key := binary.BigEndian.AppendUint32(nil, uint32(len(scope)))
	return append(append(key, scope...), name...)
}

func expiryKey(expires time.Duration, at []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(expires)), at...)
}
