package nearflag_test

import (
	"flag"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/memory"
)

func parse(args ...string) (nearflag.Mode, error) {
	var m nearflag.Mode
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	nearflag.Define(flags, &m)
	return m, flags.Parse(args)
}

func TestFlag(t *testing.T) {
	t.Parallel()
	for _, want := range []nearflag.Mode{nearflag.Bounded, nearflag.Strict} {
		var m nearflag.Mode
		require.NoError(t, m.Set(string(want)))
		assert.Equal(t, want, m)
	}
	_, err := parse("-near", "exact")
	assert.ErrorContains(t, err, "must be bounded or strict")
	m, err := parse()
	require.NoError(t, err)
	assert.Equal(t, nearflag.Off, m)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	off, strict := nearflag.Off, nearflag.Strict
	assert.NoError(t, off.Check(false))
	assert.NoError(t, strict.Check(true))
	assert.ErrorContains(t, strict.Check(false), "-near strict: needs a cache that processes share")
}

// TestOpen refuses a store that cannot tell other processes what was removed.
func TestOpen(t *testing.T) {
	t.Parallel()
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	off, strict := nearflag.Off, nearflag.Strict
	none, err := off.Open(store)
	assert.NoError(t, err)
	assert.Nil(t, none)
	_, err = strict.Open(store)
	assert.ErrorContains(t, err, "-near strict: near: New: store:")
}
