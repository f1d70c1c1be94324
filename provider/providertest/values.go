package providertest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

const roundTrip = "Get returns what Set stored: the same Go value, or bytes that decode into it. A cache returns what it finds to the caller as if it had just been loaded."

func valueCases() []testCase {
	return []testCase{
		{"struct", because(roundTrip), roundTripOf(payload{Name: "n", Count: -7, Tags: []string{"a", ""}, Inner: map[string]int{"x": 1}})},
		{"pointer", because(roundTrip), roundTripOf(&payload{Name: "n", Tags: []string{"a"}})},
		{"string", because(roundTrip), roundTripOf("text with \"quotes\", <tags>, \n, \x00, \u2028 and 日本")},
		{"number", because(roundTrip), roundTripOf(int64(1)<<53 + 1)},
		{"bytes", because(roundTrip), roundTripOf([]byte{0, 1, 0xfe, 0xff, '"', '\n'})},
		{"time", because(roundTrip), roundTripOf(time.Date(2026, 11, 24, 1, 2, 3, 456789, time.UTC))},
		{
			"nil",
			because("nil is an ordinary value: it is found, and is no absence. A load may well return a nil interface or a nil pointer, and a store that takes it for nothing loads it for ever."),
			func(s *session) {
				roundTripOf(nil)(s)
				roundTripOf((*payload)(nil))(s)
			},
		},
		{
			"zero",
			because("Zero values are ordinary values: they are found. A store that takes them for nothing loads them for ever."),
			func(s *session) {
				roundTripOf(0)(s)
				roundTripOf(false)(s)
				roundTripOf("")(s)
				roundTripOf(payload{})(s)
				roundTripOf(time.Time{})(s)
			},
		},
		{
			"empty",
			because("Empty slices and maps are ordinary values: they are found. \"No results\" is what many queries answer, and as costly to ask again."),
			func(s *session) {
				roundTripOf([]string{})(s)
				roundTripOf(map[string]int{})(s)
				roundTripOf([]payload(nil))(s)
			},
		},
		{"big", because(roundTrip + " This holds for a value of 1 MiB too, unless the store refuses it with ErrTooLarge."), checkBigValue},
		{
			"type",
			because("Bytes are decoded only into the type that was encoded; for another type the error matches ErrUndecodable. JSON would read one struct as a zero value of another, and the cache would return that."),
			checkType,
		},
		{
			"unencodable",
			because("A Set whose value cannot be encoded returns an error that matches ErrUnencodable and keeps nothing under the key. The cache then serves the value uncached and does not take it for a failure of the store; the entry that was there before is older than what was loaded."),
			checkUnencodable,
		},
		{
			"lossy",
			because("A value of which the codec loses a part is refused with an error that matches ErrLossy, and nothing is kept under the key; or it comes back whole. A hit must return what the load did. A provider.Checker finds such values."),
			checkLossy,
		},
	}
}

// roundTripOf returns a case that checks that value is found again, twice,
// under its own key.
func roundTripOf(value any) func(*session) {
	return func(s *session) {
		key := k(fmt.Sprintf("of a %T", value))
		s.set(key, value, time.Hour)
		s.want(key, value)
		s.set(k("another"), "another value", time.Hour)
		s.want(key, value)
	}
}

func checkBigValue(s *session) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	key := k("big")
	err := s.store.Set(s.ctx(), key, provider.Entry{Value: big}, time.Hour)
	if errors.Is(err, provider.ErrTooLarge) {
		s.wantMiss(key)
		return
	}
	if err != nil {
		s.fatalf("Set of 1 MiB: error %v, which does not match ErrTooLarge", err)
	}
	s.want(key, big)
}

func checkType(s *session) {
	type other struct{ Different bool }
	s.set(k("key"), payload{Name: "n"}, time.Hour)
	entry, found := s.get(k("key"))
	if !found {
		s.fatalf("Get found nothing after Set")
	}
	encoded, ok := entry.Value.(provider.Encoded)
	if !ok {
		if _, wrong := entry.Value.(payload); !wrong {
			s.errorf("Get returned a %T, want the %T that was stored, or a provider.Encoded", entry.Value, payload{})
		}
		return
	}
	var wrong other
	if err := encoded.Decode(&wrong); !errors.Is(err, provider.ErrUndecodable) {
		s.errorf("a %T decodes into a %T with error %v, want one that matches ErrUndecodable", payload{}, wrong, err)
	}
}

func checkUnencodable(s *session) {
	for _, value := range []any{make(chan int), func() {}, panics{}} {
		key := k(fmt.Sprintf("of a %T", value))
		s.set(key, "what was there before", time.Hour)
		err := s.store.Set(s.ctx(), key, provider.Entry{Value: value}, time.Hour)
		switch {
		case err == nil: // the store does not encode values
			if entry, found := s.get(key); !found {
				s.errorf("Set of a %T returned nil, but Get finds nothing", value)
			} else if old, ok := as[string](entry.Value); ok {
				s.errorf("Set of a %T returned nil, but Get finds %q", value, old)
			}
		case !errors.Is(err, provider.ErrUnencodable):
			s.errorf("Set of a %T: error %v, which does not match ErrUnencodable", value, err)
		default:
			s.wantMiss(key)
		}
	}
	s.set(k("later"), "value", time.Hour)
	s.want(k("later"), "value")
}

// partial is a value of which JSON loses a part.
type partial struct {
	Kept string
	Lost string `json:"-"`
}

func checkLossy(s *session) {
	key, value := k("key"), partial{Kept: "kept", Lost: "lost"}
	s.set(key, "what was there before", time.Hour)
	err := s.store.Set(s.ctx(), key, provider.Entry{Value: value}, time.Hour)
	switch {
	case errors.Is(err, provider.ErrLossy):
		s.wantMiss(key)
		return
	case err != nil:
		s.errorf("Set of a %T: error %v, which does not match ErrLossy", value, err)
		return
	}
	entry, found := s.get(key)
	if got, ok := as[partial](entry.Value); !found || !ok || got != value {
		s.errorf("Set of %+v returned nil, but Get finds %+v", value, got)
	}
}

// panics is a value that panics when it is encoded.
type panics struct{}

// MarshalJSON implements [encoding/json.Marshaler].
func (panics) MarshalJSON() ([]byte, error) {
	panic("providertest: a value that panics when it is encoded")
}

// MarshalText implements [encoding.TextMarshaler].
func (panics) MarshalText() ([]byte, error) {
	panic("providertest: a value that panics when it is encoded")
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (panics) MarshalBinary() ([]byte, error) {
	panic("providertest: a value that panics when it is encoded")
}
