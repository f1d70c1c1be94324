package service

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a maintenance.
const (
	maxTitle       = 120
	maxDescription = 4000
	maxMessage     = 2000
	maxSystems     = 50
	maxDuration    = 30 * 24 * time.Hour
)

var (
	systemIDPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	userIDPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
)

// The functions of this file are pure decisions: they take a maintenance and an
// input, and return the resulting maintenance or the reason why it is not
// permitted.

// newMaintenance returns the maintenance that draft describes.
func newMaintenance(draft Draft, now time.Time) (Maintenance, error) {
	m := Maintenance{
		Version:     1,
		Title:       strings.TrimSpace(draft.Title),
		Description: strings.TrimSpace(draft.Description),
		Status:      Planned,
		Start:       toMillisecond(draft.Start),
		End:         toMillisecond(draft.End),
		SystemIDs:   sortedSet(draft.SystemIDs),
		Updates:     []Update{},
		CreatedBy:   draft.CreatedBy,
	}
	if err := checkUser("created_by", draft.CreatedBy); err != nil {
		return Maintenance{}, err
	}
	if err := checkTimes(m, now); err != nil {
		return Maintenance{}, err
	}
	return m, checkContent(m)
}

// patched returns m with patch applied.
func patched(m Maintenance, patch Patch, now time.Time) (Maintenance, error) {
	moved := patch.Start != nil || patch.End != nil
	if !moved && patch.Title == nil && patch.Description == nil && patch.SystemIDs == nil {
		return Maintenance{}, &InvalidError{"body", "nothing to change"}
	}
	if patch.Version != nil && *patch.Version != m.Version {
		return Maintenance{}, &ConflictError{fmt.Sprintf(
			"the change was made for version %d, but the maintenance is at version %d", *patch.Version, m.Version)}
	}
	if m.Status.Final() {
		return Maintenance{}, closedError(m)
	}
	if patch.Start != nil && m.Status == InProgress && !toMillisecond(*patch.Start).Equal(m.Start) {
		return Maintenance{}, &ConflictError{"the start cannot change: the maintenance is in progress"}
	}
	if patch.Title != nil {
		m.Title = strings.TrimSpace(*patch.Title)
	}
	if patch.Description != nil {
		m.Description = strings.TrimSpace(*patch.Description)
	}
	if patch.Start != nil {
		m.Start = toMillisecond(*patch.Start)
	}
	if patch.End != nil {
		m.End = toMillisecond(*patch.End)
	}
	if patch.SystemIDs != nil {
		m.SystemIDs = sortedSet(*patch.SystemIDs)
	}
	if moved {
		if err := checkTimes(m, now); err != nil {
			return Maintenance{}, err
		}
	}
	return m, checkContent(m)
}

// reported returns m with report as its last update and in the status of the
// report.
func reported(m Maintenance, report Report, now time.Time) (Maintenance, error) {
	message := strings.TrimSpace(report.Message)
	if err := checkText("message", message, 1, maxMessage); err != nil {
		return Maintenance{}, err
	}
	if err := checkUser("author", report.Author); err != nil {
		return Maintenance{}, err
	}
	if report.Status != "" && !report.Status.Valid() {
		return Maintenance{}, &InvalidError{"status", fmt.Sprintf("unknown status %q", report.Status)}
	}
	if m.Status.Final() {
		return Maintenance{}, closedError(m)
	}
	now = toMillisecond(now)
	if report.Status != "" {
		var err error
		if m, err = transition(m, report.Status, now); err != nil {
			return Maintenance{}, err
		}
	}
	update := Update{At: now, Author: report.Author, Message: message, Status: report.Status}
	m.Updates = append(slices.Clip(m.Updates), update) // clipped: readers may share the array
	return m, nil
}

// closed returns m after closing.
func closed(m Maintenance, closing Closing, now time.Time) (Maintenance, error) {
	outcome := closing.Outcome
	if outcome == "" {
		outcome = Completed
	}
	if !outcome.Final() {
		return Maintenance{}, &InvalidError{"outcome", fmt.Sprintf("must be %q or %q", Completed, Cancelled)}
	}
	message := closing.Message
	if strings.TrimSpace(message) == "" {
		message = "Maintenance " + string(outcome) + "."
	}
	return reported(m, Report{Author: closing.Author, Message: message, Status: outcome}, now)
}

// deletable returns an error if m must not be deleted.
func deletable(m Maintenance) error {
	if m.Status == InProgress {
		return &ConflictError{"a maintenance in progress cannot be deleted: close it first"}
	}
	return nil
}

// transition returns m in the status next. If it starts early, it begins now; if
// it is completed early, it ends now. Its times then say what happened.
func transition(m Maintenance, next Status, now time.Time) (Maintenance, error) {
	if !m.Status.canBecome(next) {
		return Maintenance{}, &ConflictError{fmt.Sprintf("a maintenance that is %s cannot become %s", m.Status, next)}
	}
	m.Status = next
	if next == InProgress && now.Before(m.Start) {
		m.Start = now
	}
	if next == Completed && now.Before(m.End) {
		m.End = now
	}
	return m, nil
}

func closedError(m Maintenance) error {
	return &ConflictError{fmt.Sprintf("the maintenance is %s and cannot change any more", m.Status)}
}

// checkTimes checks the times of the input.
func checkTimes(m Maintenance, now time.Time) error {
	for _, field := range []struct {
		name string
		t    time.Time
	}{{"start", m.Start}, {"end", m.End}} {
		if field.t.IsZero() {
			return &InvalidError{field.name, "is missing"}
		}
		if year := field.t.Year(); year < 2000 || year > 2099 {
			return &InvalidError{field.name, "must be in the years 2000 to 2099"}
		}
	}
	switch {
	case !m.End.After(m.Start):
		return &InvalidError{"end", "must be after start"}
	case m.End.Sub(m.Start) > maxDuration:
		return &InvalidError{"end", "must be at most 30 days after start"}
	case !m.End.After(now):
		return &InvalidError{"end", "must be in the future"}
	}
	return nil
}

// checkContent checks the rest of a maintenance.
func checkContent(m Maintenance) error {
	if err := checkText("title", m.Title, 1, maxTitle); err != nil {
		return err
	}
	if err := checkText("description", m.Description, 0, maxDescription); err != nil {
		return err
	}
	if n := len(m.SystemIDs); n < 1 || n > maxSystems {
		return &InvalidError{"system_ids", fmt.Sprintf("must name 1 to %d systems", maxSystems)}
	}
	return checkSystems("system_ids", m.SystemIDs)
}

func checkText(field, text string, shortest, longest int) error {
	if shortest > 0 && text == "" {
		return &InvalidError{field, "is missing"}
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return &InvalidError{field, "must be text in UTF-8 without NUL"}
	}
	if n := utf8.RuneCountInString(text); n < shortest || n > longest {
		return &InvalidError{field, fmt.Sprintf("must have at most %d characters, has %d", longest, n)}
	}
	return nil
}

func checkSystems(field string, ids []string) error {
	for _, id := range ids {
		if err := CheckSystemID(field, id); err != nil {
			return err
		}
	}
	return nil
}

// CheckSystemID returns an [*InvalidError] for field if id cannot be the id of a
// system.
func CheckSystemID(field, id string) error {
	if !systemIDPattern.MatchString(id) {
		return &InvalidError{field, fmt.Sprintf("%.80q is no system id: lower case letters, digits and dashes", id)}
	}
	return nil
}

func checkUser(field, id string) error {
	if id == "" {
		return &InvalidError{field, "is missing"}
	}
	if !userIDPattern.MatchString(id) {
		return &InvalidError{field, fmt.Sprintf("%.80q is no user id", id)}
	}
	return nil
}

// toMillisecond returns t with the precision of the database.
func toMillisecond(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
