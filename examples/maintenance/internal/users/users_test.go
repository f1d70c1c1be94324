package users

import (
	"errors"
	"strings"
	"testing"
)

func TestDirectory(t *testing.T) {
	d := NewDirectory()
	if !d.Known("lin") || d.Known("nobody") {
		t.Errorf("known: lin %v, nobody %v", d.Known("lin"), d.Known("nobody"))
	}
	if got := d.Name("nobody"); got != "nobody" {
		t.Errorf("a user who left is called %q", got)
	}
	if err := d.Rename("lin", " Lin Y. "); err != nil || d.Name("lin") != "Lin Y." {
		t.Errorf("renamed to %q, %v", d.Name("lin"), err)
	}
	if err := d.Rename("nobody", "X"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	for _, name := range []string{"", " ", strings.Repeat("ü", 81)} {
		if err := d.Rename("lin", name); !errors.Is(err, ErrBadName) {
			t.Errorf("%q: got %v, want ErrBadName", name, err)
		}
	}
	if d.Name("lin") != "Lin Y." {
		t.Errorf("a bad name was taken: %q", d.Name("lin"))
	}
}
