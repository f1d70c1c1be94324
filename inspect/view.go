package inspect

import (
	"context"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// view is what the page shows, and what the JSON is.
type view struct {
	At      time.Time  `json:"at"`
	Message string     `json:"message,omitempty"`
	Store   storeView  `json:"store"`
	Scopes  []scopeRow `json:"scopes"`
	// Scope is the scope that was asked for; nil: none was.
	Scope *scopeView `json:"scope,omitempty"`

	ShowKeys   bool   `json:"shows_keys"`
	Invalidate bool   `json:"invalidates"`
	Nonce      string `json:"-"`
}

// storeView is the store, and how the cache gets on with it. A number that the store does not know
// is null.
type storeView struct {
	Breaker    string     `json:"breaker"`
	Since      *time.Time `json:"breaker_since"`
	Opens      int64      `json:"breaker_opens"`
	Shards     int        `json:"shards"`
	Away       int        `json:"shards_away"`
	Refusing   bool       `json:"refuses_writes"`
	Unanswered int        `json:"unanswered"`
	Failure    string     `json:"last_failure,omitempty"`
	FailedAt   *time.Time `json:"failed_at"`
	Closed     bool       `json:"closed"`

	StatsError  string `json:"stats_error,omitempty"`
	Entries     *int64 `json:"entries"`
	Weight      *int64 `json:"weight"`
	MaxEntries  *int64 `json:"max_entries"`
	MaxWeight   *int64 `json:"max_weight"`
	Evictions   *int64 `json:"evictions"`
	Expirations *int64 `json:"expirations"`
}

// scopeRow is a line of the list of scopes.
type scopeRow struct {
	Name         string     `json:"name"`
	Recent       window     `json:"recent"`
	InFlight     int        `json:"in_flight"`
	Pending      int        `json:"pending"`
	PendingSince *time.Time `json:"pending_since"`

	ratios []*float64
}

// Ratios are the hit ratios between the looks of the history, for the plot.
func (r *scopeRow) Ratios() []*float64 { return r.ratios }

// scopeView is one scope with all that is known of it.
type scopeView struct {
	scopeRow

	Total   []figure   `json:"total"`
	Options []figure   `json:"options"`
	Loads   []loadView `json:"loads"`
	// PendingTargets are empty without Options.ShowKeys.
	PendingTargets []target `json:"pending_targets,omitempty"`
	// Listing is nil unless it was asked for.
	Listing *listing `json:"listing,omitempty"`
}

// figure is a statistic or an option with its name.
type figure struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// loadView is a load under way. Its key is empty without Options.ShowKeys.
type loadView struct {
	Key     string  `json:"key,omitempty"`
	Keys    int     `json:"keys"`
	Seconds float64 `json:"seconds"`
	Waiters int     `json:"waiters"`
	Stage   string  `json:"stage"`
	Purpose string  `json:"purpose"`
}

// target is a key or a prefix.
type target struct {
	Name   string `json:"name"`
	Prefix bool   `json:"prefix"`
}

// listing is a page of entries.
type listing struct {
	Prefix  string      `json:"prefix"`
	Sort    string      `json:"sort"`
	Entries []entryView `json:"entries"`
	// Total is nil if the store cannot tell.
	Total   *int   `json:"total"`
	Next    string `json:"next,omitempty"`
	Partial bool   `json:"partial"`
	Error   string `json:"error,omitempty"`
}

// entryView is an entry, without its value.
type entryView struct {
	Key       string     `json:"key"`
	Absent    bool       `json:"absent"`
	Weight    *int64     `json:"weight"`
	StoredAt  *time.Time `json:"stored_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// view collects what a request has asked for. A scope that does not exist is an error.
func (h *Handler) view(ctx context.Context, query url.Values) (*view, error) {
	v := &view{At: time.Now(), ShowKeys: h.options.ShowKeys, Invalidate: h.options.Invalidate}
	v.Store = h.store(ctx)
	wanted := query.Get("scope")
	for _, s := range h.cache.Scopes() {
		row, stats := h.row(v.At, s)
		v.Scopes = append(v.Scopes, row)
		if s.Name() == wanted {
			v.Scope = h.scope(ctx, v.At, s, row, stats, query)
		}
	}
	if wanted != "" && v.Scope == nil {
		return v, fmt.Errorf("inspect: no scope %q", wanted)
	}
	return v, nil
}

// store asks the store for its statistics, and the cache for the rest.
func (h *Handler) store(ctx context.Context) storeView {
	state := h.cache.StoreState()
	v := storeView{
		Breaker: state.Breaker, Since: instant(state.Since), Opens: state.Opens, Shards: state.Shards, Away: state.Away, Refusing: state.Refusing,
		Unanswered: state.Unanswered, Failure: h.reason(state.Failure), FailedAt: instant(state.FailedAt), Closed: state.Closed,
	}
	stats, err := h.cache.StoreStats(ctx)
	if err != nil {
		v.StatsError = h.reason(err)
		return v
	}
	v.Entries, v.Weight = known(stats.Entries), known(stats.Weight)
	v.MaxEntries, v.MaxWeight = known(stats.MaxEntries), known(stats.MaxWeight)
	v.Evictions, v.Expirations = known(stats.Evictions), known(stats.Expirations)
	return v
}

// row returns a line of the list of scopes.
func (h *Handler) row(now time.Time, s *readthrough.CachedScope) (scopeRow, readthrough.Stats) {
	stats := s.Stats()
	r := scopeRow{Name: s.Name(), InFlight: stats.InFlight, Pending: stats.Pending, PendingSince: instant(stats.PendingSince)}
	r.Recent, r.ratios = h.history.since(now, s.Name(), stats)
	return r, stats
}

// scope returns all that is known of a scope.
func (h *Handler) scope(ctx context.Context, now time.Time, s *readthrough.CachedScope, row scopeRow, stats readthrough.Stats, query url.Values) *scopeView {
	v := &scopeView{scopeRow: row, Total: figuresOf(stats), Options: figuresOf(s.Options()), Loads: []loadView{}}
	activity := s.Activity(0)
	for _, l := range activity.Loads {
		load := loadView{Keys: l.Count, Seconds: now.Sub(l.Since).Seconds(), Waiters: l.Waiters, Stage: l.Stage, Purpose: l.Purpose}
		if h.options.ShowKeys {
			load.Key = legible(l.Key)
		}
		v.Loads = append(v.Loads, load)
	}
	if h.options.ShowKeys {
		for _, p := range activity.Pending {
			v.PendingTargets = append(v.PendingTargets, target{legible(p.Name), p.Prefix})
		}
		if query.Has("prefix") {
			v.Listing = h.list(ctx, s, query)
		}
	}
	return v
}

// list asks the store for a page of entries.
func (h *Handler) list(ctx context.Context, s *readthrough.CachedScope, query url.Values) *listing {
	l := &listing{Prefix: query.Get("prefix"), Sort: query.Get("sort"), Entries: []entryView{}}
	options := provider.ListOptions{Prefix: l.Prefix, Cursor: query.Get("cursor")}
	switch l.Sort {
	case "size":
		options.Sort = provider.SortBiggest
	case "age":
		options.Sort = provider.SortNewest
	default:
		l.Sort = "name"
	}
	page, err := s.Entries(ctx, options)
	if err != nil {
		l.Error = h.reason(err)
		return l
	}
	l.Next, l.Partial = page.Next, page.Partial
	if page.Total >= 0 {
		l.Total = &page.Total
	}
	for _, e := range page.Entries {
		l.Entries = append(l.Entries, entryView{
			Key: legible(e.Key.Name), Absent: e.Absent, Weight: known(e.Weight),
			StoredAt: instant(e.StoredAt), ExpiresAt: instant(e.ExpiresAt),
		})
	}
	return l
}

// figuresOf returns the fields of a struct of statistics or options, but for its histogram.
func figuresOf(of any) []figure {
	var figures []figure
	for field, value := range reflect.ValueOf(of).Fields() {
		if !field.IsExported() || field.Type.Kind() == reflect.Struct {
			continue
		}
		text := fmt.Sprint(value.Interface())
		if value.Interface() == readthrough.NoExpiry {
			text = "no expiry"
		}
		figures = append(figures, figure{field.Name, text})
	}
	return figures
}

// reason returns the text of an error. Errors of stores name keys. So if keys are not shown, it is
// the text of the network's error in it, with the address, or of the innermost error.
func (h *Handler) reason(err error) string {
	if err == nil {
		return ""
	}
	if h.options.ShowKeys {
		return err.Error()
	}
	return backend.Cause(err).Error()
}

// legible returns a key as it is if all of it can be read, and quoted if not.
func legible(key string) string {
	if !utf8.ValidString(key) {
		return strconv.Quote(key)
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return strconv.Quote(key)
		}
	}
	return key
}

// known returns nil for what the store does not know.
func known(n int64) *int64 {
	if n == provider.Unknown {
		return nil
	}
	return &n
}

// instant returns nil for the zero time.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
