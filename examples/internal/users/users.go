// Package users is the directory of the people who plan maintenances. In a real
// company it is another service, whose names change without notice. The names
// are therefore looked up for every response and never cached.
package users

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// ErrUnknown is the error for a user that is not in the directory.
var ErrUnknown = errors.New("users: unknown user")

// ErrBadName is the error for a name that is empty or longer than 80
// characters.
var ErrBadName = errors.New("users: a name has 1 to 80 characters")

// Directory knows the names of users. It is safe for concurrent use.
type Directory struct {
	mu    sync.RWMutex // guards names
	names map[string]string
}

// NewDirectory returns a directory with the users of the seeded maintenances.
func NewDirectory() *Directory {
	return &Directory{names: map[string]string{
		"ines":  "Inês Carvalho",
		"jonas": "Jonas Weber",
		"lin":   "Lin Yutong",
		"mara":  "Mara Okafor",
		"tomas": "Tomáš Novák",
	}}
}

// Known reports whether there is a user with that id.
func (d *Directory) Known(id string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.names[id]
	return ok
}

// User is a user of the directory.
type User struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// All returns all users, sorted by id.
func (d *Directory) All() []User {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]User, 0, len(d.names))
	for id, name := range d.names {
		all = append(all, User{id, name})
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Name returns the name of a user, or the id if the user does not exist.
func (d *Directory) Name(id string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if name, ok := d.names[id]; ok {
		return name
	}
	return id
}

// Rename gives a user another name.
func (d *Directory) Rename(id, name string) error {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > 80 {
		return ErrBadName
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.names[id]; !ok {
		return ErrUnknown
	}
	d.names[id] = name
	return nil
}
