package database

import (
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestToPostgres(t *testing.T) {
	query, args := toPostgres("SELECT instr(a, @b) > 0 FROM json_each(@list_of) WHERE c = @b LIMIT @n",
		[]driver.NamedValue{{Name: "n", Value: 7}, {Name: "b", Value: "x"}, {Name: "list_of", Value: "[]"}, {Name: "unused"}})
	assert.Equal(t, "SELECT strpos(a, $1) > 0 FROM json_array_elements_text($2::json) WHERE c = $1 LIMIT $3", query)
	want := []driver.NamedValue{{Ordinal: 1, Value: "x"}, {Ordinal: 2, Value: "[]"}, {Ordinal: 3, Value: 7}}
	assert.Equal(t, want, args)
}
