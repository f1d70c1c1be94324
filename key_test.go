package readthrough_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

func TestKey(t *testing.T) {
	type filter struct {
		Status string   `json:"status,omitempty"`
		Tags   []string `json:"tags,omitempty"`
		Page   *int     `json:"page,omitempty"`
		Secret string   `json:"-"`
	}
	page := 2
	tests := []struct {
		family string
		v      any
		want   string
	}{
		{"list:", filter{}, `list:{}`},
		{"list:", filter{Status: "open", Secret: "x"}, `list:{"status":"open"}`},
		{"list:", &filter{Status: "open", Page: &page}, `list:{"page":2,"status":"open"}`},
		{"list:", map[string]any{"b": 1, "a": []int{1, 2}}, `list:{"a":[1,2],"b":1}`},
		{"list:", nil, `list:null`},
		{"n:", 7, `n:7`},
		{"s:", "a b", `s:"a b"`},
	}
	for _, test := range tests {
		got, err := readthrough.Key(test.family, test.v)
		assert.NoError(t, err, "Key(%q, %v)", test.family, test.v)
		assert.Equal(t, test.want, got, "Key(%q, %v)", test.family, test.v)
	}
}

// TestKeyIsAFamily: the prefix drops every list and nothing else.
func TestKeyIsAFamily(t *testing.T) {
	s := newScope(t)
	source := newSource("v")
	for _, status := range []string{"open", "done", "*?[a]\\"} {
		key, err := readthrough.Key("list:", map[string]string{"status": status})
		require.NoError(t, err)
		_, err = readthrough.Wrap(t.Context(), s, key, source.load)
		require.NoError(t, err)
	}
	_, err := readthrough.Wrap(t.Context(), s, "lists", source.load)
	require.NoError(t, err)
	removed, err := s.InvalidatePrefix(t.Context(), "list:")
	want(t, "removed", removed, err, 3)
}

func TestLongestKey(t *testing.T) {
	const family = "list:"
	fits := strings.Repeat("x", readthrough.MaxKeyBytes-len(family)-2) // and two quotes
	key, err := readthrough.Key(family, fits)
	assert.NoError(t, err, "the key")
	assert.Len(t, key, readthrough.MaxKeyBytes, "the key")
	_, err = readthrough.Key(family, fits+"x")
	assert.Error(t, err, "a key that no scope accepts")
}
