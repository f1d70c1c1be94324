package providertest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func listCases() []capabilityCase[provider.Inspector] {
	return []capabilityCase[provider.Inspector]{
		{
			"all",
			because("List has every live entry once, whatever its scope, and Total says how many there are."),
			func(s *session, i provider.Inspector) {
				s.wantListed(i, provider.ListOptions{})
				s.fillForListing()
				s.set(provider.Key{Scope: "a", Name: "1"}, "again", time.Hour)
				s.setEntry(provider.Key{Scope: "a", Name: "absent"}, provider.Entry{Absent: true}, time.Hour)
				s.wantListed(i, provider.ListOptions{}, append(listed(), provider.Key{Scope: "a", Name: "absent"})...)
			},
		},
		{
			"filters",
			because("Scope limits a listing to one scope and Prefix to names that begin with it, both byte for byte. Total counts what the filters leave."),
			checkListFilters,
		},
		{
			"by-name",
			because("SortName sorts by scope and then by name, byte for byte. Pages of an order that changes repeat some entries and leave out others."),
			func(s *session, i provider.Inspector) {
				s.fillForListing()
				page := s.listAll(i, provider.ListOptions{Sort: provider.SortName})
				s.wantSorted(page, func(a, b provider.Info) int { return 0 })
			},
		},
		{
			"by-size",
			because("SortBiggest sorts by weight, the heaviest first, and ties by scope and name. It is how one finds what fills the store."),
			func(s *session, i provider.Inspector) {
				for n := range 30 {
					key := provider.Key{Scope: []string{"b", "a"}[n%2], Name: valueNo(n)}
					s.set(key, strings.Repeat("x", 100*((n*7)%10)), time.Hour)
				}
				page := s.list(i, provider.ListOptions{Sort: provider.SortBiggest})
				s.wantSorted(page, func(a, b provider.Info) int { return cmp.Compare(b.Weight, a.Weight) })
			},
		},
		{
			"by-age",
			because("SortNewest sorts by the time of storing, the latest first, and ties by scope and name. An entry that was replaced is as old as its replacement."),
			checkListByAge,
		},
		{
			"pages",
			because("Offset and Limit cut a listing into pages that together have every entry once, and Total is that of the whole listing on each."),
			checkListPages,
		},
		{
			"cursors",
			because("Next is the Cursor of the page that follows. The pages of a scope that nobody changes together have every entry once, sorted by name, and the last has no Next."),
			checkListCursors,
		},
		{
			"default-limit",
			because("A Limit of zero means DefaultPageSize. Without it, one careless call copies the names of a million entries."),
			func(s *session, i provider.Inspector) {
				const n = provider.DefaultPageSize + 20
				for j := range n {
					s.set(k(valueNo(j)), "value", time.Hour)
				}
				page := s.list(i, provider.ListOptions{Scope: "scope"})
				if len(page.Entries) != provider.DefaultPageSize || page.Total != n && page.Total >= 0 {
					s.errorf("List of %d entries without a limit returned %d and Total %d, want %d and %d", n, len(page.Entries), page.Total, provider.DefaultPageSize, n)
				}
			},
		},
		{
			"beyond-the-end",
			because("An Offset beyond the end gives an empty page with the right Total, and a large Limit what there is. Entries disappear while somebody turns pages."),
			func(s *session, i provider.Inspector) {
				s.fillForListing()
				total := len(listed())
				for _, options := range []provider.ListOptions{
					{Offset: total},
					{Offset: total + 1, Limit: 1},
					{Offset: math.MaxInt, Limit: math.MaxInt},
				} {
					if page := s.list(i, options); len(page.Entries) != 0 || page.Total != total {
						s.errorf("List with offset %d returned %d entries and Total %d, want 0 and %d", options.Offset, len(page.Entries), page.Total, total)
					}
				}
				if page := s.list(i, provider.ListOptions{Offset: 1, Limit: math.MaxInt}); len(page.Entries) != total-1 || page.Total != total {
					s.errorf("List with offset 1 and the largest limit returned %d entries and Total %d, want %d and %d", len(page.Entries), page.Total, total-1, total)
				}
			},
		},
		{
			"refuses-negative",
			because("A negative Offset or Limit is refused with an error, and so is an Offset beside a Cursor."),
			func(s *session, i provider.Inspector) {
				s.fillForListing()
				for _, options := range []provider.ListOptions{
					{Offset: -1},
					{Limit: -1},
					{Offset: math.MinInt, Limit: 10},
					{Offset: 1, Limit: math.MinInt},
					{Scope: "a", Limit: -1},
					{Scope: "a", Cursor: "1", Offset: 1},
				} {
					if _, err := i.List(s.ctx(), options); err == nil {
						s.errorf("List with offset %d and limit %d returned no error", options.Offset, options.Limit)
					}
				}
			},
		},
		{
			"live-only",
			because("A listing has live entries only, and its Total counts no others: not those that have ended, removed yet or not, nor those that were deleted."),
			func(s *session, i provider.Inspector) {
				s.set(k("ends"), "value", 100*time.Millisecond)
				s.fillForListing()
				s.set(k("deleted"), "value", time.Hour)
				s.set(k("p:deleted"), "value", time.Hour)
				s.remove(k("deleted"))
				s.removePrefix("scope", "p:")
				s.expire(100 * time.Millisecond)
				s.wantListed(i, provider.ListOptions{}, listed()...)
				s.wantListed(i, provider.ListOptions{Scope: "scope"})
			},
		},
		{
			"info",
			because("An entry of a listing says whether it is an absence, when it was stored, when it expires, which is the zero time for never, and its weight, or Unknown."),
			checkListInfo,
		},
	}
}

// list returns a page. An error ends the case.
func (s *session) list(i provider.Inspector, options provider.ListOptions) provider.Page {
	s.t.Helper()
	page, err := i.List(s.ctx(), options)
	if errors.Is(err, errors.ErrUnsupported) && (options.Scope == "" || options.Sort != provider.SortName || options.Offset != 0) {
		s.skipf("the store cannot list in this way: this case does not apply to it")
	}
	if err != nil {
		s.fatalf("List(%+v): unexpected error: %v", options, err)
	}
	return page
}

// listed returns the keys that fillForListing stores.
func listed() []provider.Key {
	var keys []provider.Key
	for _, scope := range []string{"b", "a", "", "ab", "*", "a\xff"} {
		for _, name := range []string{"2", "1", "", "10", "x:1", "x:*", "*", "\xff", "B", "a"} {
			keys = append(keys, provider.Key{Scope: scope, Name: name})
		}
	}
	return keys
}

func (s *session) fillForListing() {
	s.t.Helper()
	for i, key := range listed() {
		s.set(key, strings.Repeat("x", i), time.Hour)
	}
}

// listAll returns all pages of a listing as one. A store that lists one scope at a time is
// asked for each scope of the suite, but for "", which stands for all of them.
func (s *session) listAll(i provider.Inspector, options provider.ListOptions) (all provider.Page) {
	s.t.Helper()
	scopes := []string{options.Scope}
	if _, err := i.List(s.ctx(), options); options.Scope == "" && errors.Is(err, errors.ErrUnsupported) {
		scopes = []string{"*", "a", "ab", "a\xff", "b", "scope"}
	}
	for _, options.Scope = range scopes {
		page := s.list(i, options)
		all.Total, all.Entries = all.Total+page.Total, append(all.Entries, page.Entries...)
		for page.Next != "" {
			options.Cursor = page.Next
			page = s.list(i, options)
			all.Entries = append(all.Entries, page.Entries...)
		}
		options.Cursor = ""
		if page.Total < 0 {
			all.Total = math.MinInt
		}
	}
	return all
}

// inScopes returns the keys whose scopes the store can list.
func (s *session) inScopes(i provider.Inspector, keys []provider.Key) []provider.Key {
	if _, err := i.List(s.ctx(), provider.ListOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key provider.Key) bool { return key.Scope == "" })
}

// wantListed checks that a listing has exactly the keys want.
func (s *session) wantListed(i provider.Inspector, options provider.ListOptions, want ...provider.Key) {
	s.t.Helper()
	page := s.listAll(i, options)
	want = s.inScopes(i, want)
	got := keysOf(page)
	slices.SortFunc(got, compareKeys)
	slices.SortFunc(want, compareKeys)
	if !slices.Equal(got, want) {
		s.errorf("List(%+v) has %s, want %s", options, shorten(fmt.Sprintf("%q", got)), shorten(fmt.Sprintf("%q", want)))
	}
	if page.Total >= 0 && page.Total != len(want) {
		s.errorf("List(%+v) has Total %d, want %d", options, page.Total, len(want))
	}
}

// keysOf returns the keys of a page, in its order.
func keysOf(page provider.Page) []provider.Key {
	keys := make([]provider.Key, 0, len(page.Entries))
	for _, info := range page.Entries {
		keys = append(keys, info.Key)
	}
	return keys
}

// compareKeys orders keys by scope and name.
func compareKeys(a, b provider.Key) int {
	return cmp.Or(strings.Compare(a.Scope, b.Scope), strings.Compare(a.Name, b.Name))
}

// wantSorted checks the order of a page. Entries that order does not
// distinguish must be in the order of scope and name.
func (s *session) wantSorted(page provider.Page, order func(a, b provider.Info) int) {
	s.t.Helper()
	if len(page.Entries) < 2 {
		s.errorf("List returned %d entries, too few to be in any order", len(page.Entries))
	}
	for i := 1; i < len(page.Entries); i++ {
		a, b := page.Entries[i-1], page.Entries[i]
		if cmp.Or(order(a, b), compareKeys(a.Key, b.Key)) >= 0 {
			s.errorf("List has %s (weight %d, stored %v) before %s (weight %d, stored %v)", show(a.Key), a.Weight, a.StoredAt, show(b.Key), b.Weight, b.StoredAt)
			return
		}
	}
}

func checkListFilters(s *session, i provider.Inspector) {
	s.fillForListing()
	for _, options := range []provider.ListOptions{
		{Scope: "a"},
		{Scope: "b"},
		{Scope: "*"},
		{Scope: "A"},
		{Scope: "never seen"},
		{Prefix: "1"},
		{Prefix: "x:"},
		{Prefix: "x:*"},
		{Prefix: "*"},
		{Prefix: "\xff"},
		{Prefix: "b"},
		{Scope: "a", Prefix: "1"},
		{Scope: "a\xff", Prefix: "x:*"},
		{Scope: "*", Prefix: "*"},
	} {
		var want []provider.Key
		for _, key := range listed() {
			if (options.Scope == "" || key.Scope == options.Scope) && strings.HasPrefix(key.Name, options.Prefix) {
				want = append(want, key)
			}
		}
		s.wantListed(i, options, want...)
	}
}

func checkListByAge(s *session, i provider.Inspector) {
	newest := func(a, b provider.Info) int { return b.StoredAt.Compare(a.StoredAt) }
	for _, name := range []string{"c", "a", "d", "b", "replaced"} {
		s.set(k(name), "value", time.Hour)
	}
	s.pause()
	s.pause()
	s.set(k("replaced"), "value", time.Hour)
	s.pause()
	s.pause()
	s.set(k("z"), "value", time.Hour)
	s.set(k("y"), "value", time.Hour)

	page := s.list(i, provider.ListOptions{Sort: provider.SortNewest})
	s.wantSorted(page, newest)
	var names []string
	for _, key := range keysOf(page) {
		names = append(names, key.Name)
	}
	if len(names) == 7 {
		slices.Sort(names[:2])
		slices.Sort(names[3:])
	}
	if want := []string{"y", "z", "replaced", "a", "b", "c", "d"}; !slices.Equal(names, want) {
		s.errorf("the ages of a listing are %q (sorted among those stored together), want %q", names, want)
	}
}

func checkListPages(s *session, i provider.Inspector) {
	s.fillForListing()
	for _, order := range []provider.Sort{provider.SortName, provider.SortBiggest, provider.SortNewest} {
		whole := keysOf(s.list(i, provider.ListOptions{Sort: order}))
		for _, size := range []int{1, 7, 30, 60, 61} {
			var got []provider.Key
			for offset := 0; offset < len(listed()); offset += size {
				page := s.list(i, provider.ListOptions{Sort: order, Offset: offset, Limit: size})
				if len(page.Entries) > size || page.Total != len(listed()) {
					s.errorf("a page of %d at %d has %d entries and Total %d, want Total %d", size, offset, len(page.Entries), page.Total, len(listed()))
				}
				got = append(got, keysOf(page)...)
			}
			if !slices.Equal(got, whole) {
				s.errorf("pages of %d in order %d together have %d entries that are not the whole listing of %d in its order", size, order, len(got), len(whole))
			}
		}
	}
	page := s.list(i, provider.ListOptions{Scope: "a", Prefix: "x:", Offset: 1, Limit: 1})
	if want := []provider.Key{{Scope: "a", Name: "x:1"}}; !slices.Equal(keysOf(page), want) || page.Total != 2 {
		s.errorf("the second page of a filtered listing has %q and Total %d, want %q and 2", keysOf(page), page.Total, want)
	}
}

func checkListCursors(s *session, i provider.Inspector) {
	s.fillForListing()
	var want []string
	for _, key := range listed() {
		if key.Scope == "a" {
			want = append(want, key.Name)
		}
	}
	slices.Sort(want)
	for _, size := range []int{1, 3, 10, 11} {
		var got []string
		options := provider.ListOptions{Scope: "a", Limit: size}
		for n := 0; ; n++ {
			page := s.list(i, options)
			if len(page.Entries) > size {
				s.errorf("a page of %d has %d entries", size, len(page.Entries))
			}
			for _, key := range keysOf(page) {
				got = append(got, key.Name)
			}
			if options.Cursor = page.Next; page.Next == "" || n > 10*len(want) {
				break
			}
		}
		if !slices.Equal(got, want) {
			s.errorf("the pages of %d together have %q, want %q", size, got, want)
		}
	}
	if _, err := i.List(s.ctx(), provider.ListOptions{Scope: "a", Cursor: "\x00 not a cursor"}); err == nil {
		s.errorf("List with a cursor that no page has returned no error")
	}
}

func checkListInfo(s *session, i provider.Inspector) {
	began := time.Now()
	s.setEntry(k("value"), provider.Entry{Value: "value", LoadedAt: began}, time.Hour)
	s.setEntry(k("absent"), provider.Entry{Absent: true, LoadedAt: began}, time.Minute)
	s.setEntry(k("for ever"), provider.Entry{Value: "value", LoadedAt: began}, provider.NoExpiry)
	s.pause()
	ttls := map[string]time.Duration{"value": time.Hour, "absent": time.Minute}
	for _, info := range s.list(i, provider.ListOptions{Scope: "scope"}).Entries {
		name := info.Key.Name
		if info.Absent != (name == "absent") {
			s.errorf("the entry %q is listed with Absent %v", name, info.Absent)
		}
		if info.Weight < 0 && info.Weight != provider.Unknown {
			s.errorf("the entry %q is listed with Weight %d", name, info.Weight)
		}
		if !s.near(info.StoredAt, began) {
			s.errorf("the entry %q is listed with StoredAt %v, want %v", name, info.StoredAt, began)
		}
		ttl, ends := ttls[name]
		if ends != !info.ExpiresAt.IsZero() || (ends && !s.near(info.ExpiresAt, began.Add(ttl))) {
			s.errorf("the entry %q, stored at %v for %v (0: for ever), is listed with ExpiresAt %v", name, began, ttl, info.ExpiresAt)
		}
	}
}

// near reports whether a store may return got for the time want. In a bubble,
// the tolerance is less than the pause that follows; in real time, less than
// half the shortest TTL that a listing case uses.
func (s *session) near(got, want time.Time) bool {
	tolerance := 30 * time.Second
	if s.exact() {
		tolerance = 100 * time.Millisecond
	}
	return got.Sub(want).Abs() <= tolerance
}
