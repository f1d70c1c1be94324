package provider_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func TestCheckTTL(t *testing.T) {
	for ttl, ok := range map[time.Duration]bool{
		0: false, -1: false, -time.Second: false, math.MinInt64: false,
		1: true, time.Millisecond: true, time.Hour: true, provider.NoExpiry - 1: true, provider.NoExpiry: true,
	} {
		err := provider.CheckTTL(ttl)
		if (err == nil) != ok {
			t.Errorf("CheckTTL(%d) = %v, want success %v", ttl, err, ok)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "provider: ttl ") || !strings.Contains(err.Error(), ttl.String())) {
			t.Errorf("CheckTTL(%d) = %q, want the package, the field and its value", ttl, err)
		}
	}
}

// The cache tells a refused entry from a store that failed by these; a store that
// refuses a TTL has not refused an entry.
func TestCheckTTLMatchesNoSentinel(t *testing.T) {
	for _, sentinel := range sentinels() {
		if errors.Is(provider.CheckTTL(0), sentinel) {
			t.Errorf("the error of CheckTTL matches %v", sentinel)
		}
	}
}

func sentinels() []error {
	return []error{provider.ErrUndecodable, provider.ErrTooLarge, provider.ErrUnencodable, provider.ErrClosed}
}

func TestSentinelsAreApart(t *testing.T) {
	for i, a := range sentinels() {
		if !strings.HasPrefix(a.Error(), "provider: ") {
			t.Errorf("%q does not begin with the package's name", a)
		}
		for j, b := range sentinels() {
			if errors.Is(fmt.Errorf("wrapped: %w", a), b) != (i == j) {
				t.Errorf("does %v match %v: want %v", a, b, i == j)
			}
		}
	}
}

func TestNoExpiryIsTheLongestDuration(t *testing.T) {
	if provider.NoExpiry != math.MaxInt64 {
		t.Errorf("NoExpiry is %d: it must not be a TTL that somebody could mean", provider.NoExpiry)
	}
}

// A key is comparable and has two parts that count apart.
func TestKeysAreApart(t *testing.T) {
	seen := map[provider.Key]bool{}
	keys := []provider.Key{{}, {Scope: "a", Name: "b:c"}, {Scope: "a:b", Name: "c"}, {Scope: "ab"}, {Name: "ab"}}
	for _, key := range keys {
		seen[key] = true
	}
	if len(seen) != len(keys) {
		t.Errorf("%d keys are %d", len(keys), len(seen))
	}
}

// Structs that may get more fields cannot be written without the names of those
// they have.
func TestStructsAreOpenToNewFields(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[provider.Entry](), reflect.TypeFor[provider.Stats](), reflect.TypeFor[provider.ListOptions]()} {
		if last := typ.Field(typ.NumField() - 1); last.Name != "_" || last.Type.Size() != 0 {
			t.Errorf("%v does not end in a blank field", typ)
		}
	}
}
