package provider_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
)

func TestCheckTTL(t *testing.T) {
	for ttl, ok := range map[time.Duration]bool{
		0: false, -1: false, -time.Second: false, math.MinInt64: false,
		1: true, time.Millisecond: true, time.Hour: true, provider.NoExpiry - 1: true, provider.NoExpiry: true,
	} {
		err := provider.CheckTTL(ttl)
		assert.Equal(t, ok, err == nil, "CheckTTL(%d) = %v", ttl, err)
		if err != nil {
			assert.Regexp(t, "^provider: ttl ", err, "CheckTTL says the package, the field and its value")
			assert.ErrorContains(t, err, ttl.String(), "CheckTTL says the package, the field and its value")
		}
	}
}

// The cache tells a refused entry from a store that failed by these; a store that
// refuses a TTL has not refused an entry.
func TestCheckTTLMatchesNoSentinel(t *testing.T) {
	for _, sentinel := range sentinels() {
		assert.NotErrorIs(t, provider.CheckTTL(0), sentinel, "the error of CheckTTL")
	}
}

func sentinels() []error {
	return []error{provider.ErrUndecodable, provider.ErrTooLarge, provider.ErrUnencodable, provider.ErrClosed}
}

func TestSentinelsAreApart(t *testing.T) {
	for i, a := range sentinels() {
		assert.Regexp(t, "^provider: ", a, "it does not begin with the package's name")
		for j, b := range sentinels() {
			assert.Equal(t, i == j, errors.Is(fmt.Errorf("wrapped: %w", a), b), "does %v match %v", a, b)
		}
	}
}

func TestNoExpiryIsTheLongestDuration(t *testing.T) {
	assert.Equal(t, int64(math.MaxInt64), int64(provider.NoExpiry), "NoExpiry must not be a TTL that somebody could mean")
}

// A key is comparable and has two parts that count apart.
func TestKeysAreApart(t *testing.T) {
	seen := map[provider.Key]bool{}
	keys := []provider.Key{{}, {Scope: "a", Name: "b:c"}, {Scope: "a:b", Name: "c"}, {Scope: "ab"}, {Name: "ab"}}
	for _, key := range keys {
		seen[key] = true
	}
	assert.Len(t, seen, len(keys), "different keys")
}

// Structs that may get more fields cannot be written without the names of those
// they have.
func TestStructsAreOpenToNewFields(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[provider.Entry](), reflect.TypeFor[provider.Stats](), reflect.TypeFor[provider.ListOptions]()} {
		last := typ.Field(typ.NumField() - 1)
		assert.Equal(t, "_", last.Name, "%v does not end in a blank field", typ)
		assert.Zero(t, last.Type.Size(), "%v does not end in a blank field", typ)
	}
}
