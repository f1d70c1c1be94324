package redisprovider

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/provider"
)

func FuzzRemoved(f *testing.F) {
	f.Add("k\x01s\x01k")
	f.Add("p\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, text string) {
		removed, err := decodeRemoved(text)
		if err != nil {
			return
		}
		again, err := decodeRemoved(encodeRemoved(&removed))
		require.NoError(t, err)
		assert.Equal(t, removed, again)
	})
}

func TestRemoved(t *testing.T) {
	want := provider.Removed{
		Keys:     []provider.Key{{Scope: "s", Name: ""}, {Scope: "", Name: "a b\x00\xff"}, {Scope: "s", Name: strings.Repeat("x", 300)}},
		Prefixes: []provider.Key{{Scope: "s", Name: ""}, {Scope: "s", Name: "list:"}},
	}
	text := encodeRemoved(&want)
	got, err := decodeRemoved(text)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	for n := range len(text) {
		cut, err := decodeRemoved(text[:n])
		assert.True(t, err != nil || len(cut.Keys)+len(cut.Prefixes) < 5, "cut at %d", n)
	}
}

func TestReadMessage(t *testing.T) {
	removed := provider.Removed{Keys: []provider.Key{{Scope: "s", Name: "a b"}}}
	m, err := readMessage("e 7 me "+encodeRemoved(&removed), false)
	require.NoError(t, err)
	assert.Equal(t, membership.Message{Epoch: "e", Seq: 7, Sender: "me", Removed: removed}, m)
	m, err = readMessage("e 7 3 1", true)
	require.NoError(t, err)
	assert.Equal(t, membership.Message{Epoch: "e", Seq: 7, Beat: 3, Renewed: true}, m)
	for _, bad := range []string{"", "e", "e 7", "e x - k", "e 7 - k"} {
		_, err := readMessage(bad, false)
		assert.ErrorIs(t, err, errMessage, "%q", bad)
	}
	for _, bad := range []string{"", "e 7 3", "e x 3 1", "e 7 x 1", "e 7 0 1"} {
		_, err := readMessage(bad, true)
		assert.ErrorIs(t, err, errMessage, "%q", bad)
	}
}
