package service

import (
	"fmt"
	"strings"
	"time"
)

// Limits of a listing.
const (
	DefaultLimit = 100
	MaxLimit     = 500
	// MaxBulk is the most systems that one bulk read may ask for.
	MaxBulk = 500
)

// Filters select the maintenances of a listing: those that match every filter
// that is set. The zero value selects the first [DefaultLimit] of all.
type Filters struct {
	// Statuses and Systems match a maintenance that has any of them.
	Statuses []Status `json:"status,omitempty"`
	Systems  []string `json:"system,omitempty"`
	// From and To match a maintenance whose time overlaps [From, To).
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Text matches in title and description. Letters from a to z match both
	// cases.
	Text string `json:"text,omitempty"`
	// Limit is the most maintenances to list, such as 20, at most [MaxLimit].
	// Zero means [DefaultLimit].
	Limit int `json:"limit"`
}

// Normalize checks f and returns one form for all filters with the same meaning,
// so that they share one cache entry.
func (f Filters) Normalize() (Filters, error) {
	f.Statuses = sortedSet(f.Statuses)
	for _, status := range f.Statuses {
		if !status.Valid() {
			return Filters{}, &InvalidError{"status", fmt.Sprintf("unknown status %.80q", string(status))}
		}
	}
	f.Systems = sortedSet(f.Systems)
	if len(f.Systems) > maxSystems {
		return Filters{}, &InvalidError{"system", fmt.Sprintf("must name at most %d systems", maxSystems)}
	}
	if err := checkSystems("system", f.Systems); err != nil {
		return Filters{}, err
	}
	f.From, f.To = toMillisecond(f.From), toMillisecond(f.To)
	if !f.From.IsZero() && !f.To.IsZero() && !f.To.After(f.From) {
		return Filters{}, &InvalidError{"to", "must be after from"}
	}
	if err := checkText("text", f.Text, 0, maxTitle); err != nil {
		return Filters{}, err
	}
	f.Text = lowerASCII(strings.TrimSpace(f.Text))
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	if f.Limit < 1 || f.Limit > MaxLimit {
		return Filters{}, &InvalidError{"limit", fmt.Sprintf("must be 1 to %d", MaxLimit)}
	}
	return f, nil
}

// lowerASCII does the same as the function lower of the database.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
