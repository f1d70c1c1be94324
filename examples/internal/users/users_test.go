package users

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDirectory(t *testing.T) {
	d := NewDirectory()
	assert.True(t, d.Known("lin"), "lin is not known")
	assert.False(t, d.Known("nobody"), "nobody is known")
	assert.Equal(t, "nobody", d.Name("nobody"), "the name of a user who left")
	assert.NoError(t, d.Rename("lin", " Lin Y. "), "renamed")
	assert.Equal(t, "Lin Y.", d.Name("lin"), "renamed")
	assert.ErrorIs(t, d.Rename("nobody", "X"), ErrUnknown)
	for _, name := range []string{"", " ", strings.Repeat("ü", 81)} {
		assert.ErrorIs(t, d.Rename("lin", name), ErrBadName, name)
	}
	assert.Equal(t, "Lin Y.", d.Name("lin"), "a bad name was taken")
}
