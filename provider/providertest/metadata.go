package providertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func metadataCases() []testCase {
	return []testCase{
		{
			"fresh-until",
			because("FreshUntil is kept to the microsecond. The cache compares it with its clock to decide whether an entry is refreshed."),
			func(s *session) {
				moment := time.Now().Truncate(time.Second)
				for _, until := range []time.Time{
					moment.Add(time.Second + 123456789),
					moment.Add(999999 * time.Microsecond),
					moment.Add(-time.Hour + time.Microsecond),
					moment.Add(time.Hour).In(time.FixedZone("somewhere", 5*3600)),
					time.Unix(0, 1000),
				} {
					s.checkMetadata(provider.Entry{Value: "v", FreshUntil: until})
				}
			},
		},
		{
			"fresh-until-far",
			because("FreshUntil is kept however far away it is. An entry that is fresh for NoExpiry is fresh until the year 2300, which nanoseconds in 64 bits cannot count."),
			func(s *session) {
				s.checkMetadata(provider.Entry{Value: "v", FreshUntil: time.Now().Add(provider.NoExpiry)})
				s.checkMetadata(provider.Entry{Value: "v", FreshUntil: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)})
			},
		},
		{
			"fresh-until-zero",
			because("A zero FreshUntil stays zero: it means that the entry is fresh as long as it is stored. The beginning of 1970 would mean that it is always stale."),
			func(s *session) {
				s.set(k("key"), "v", time.Hour)
				entry, found := s.get(k("key"))
				if !found || !entry.FreshUntil.IsZero() {
					s.errorf("Get returned FreshUntil %v, found %v; want the zero time, true", entry.FreshUntil, found)
				}
			},
		},
		{
			"fresh-until-not-acted-on",
			because("A store does not act on FreshUntil: an entry that is no longer fresh is found until its TTL ends. The cache serves it while it loads a new one."),
			func(s *session) {
				s.setEntry(k("stale"), provider.Entry{Value: "v", FreshUntil: time.Now().Add(-time.Hour)}, time.Hour)
				s.want(k("stale"), "v")
				s.setEntry(k("soon stale"), provider.Entry{Value: "v", FreshUntil: time.Now().Add(10 * time.Millisecond)}, time.Hour)
				s.pause()
				s.want(k("soon stale"), "v")
				s.setEntry(k("fresh"), provider.Entry{Value: "v", FreshUntil: time.Now().Add(time.Hour)}, 100*time.Millisecond)
				s.expire(100 * time.Millisecond)
				s.wantMiss(k("fresh"))
			},
		},
		{
			"load-time",
			because("LoadTime is kept to the microsecond. The cache uses it to refresh what is slow to load earlier."),
			func(s *session) {
				for _, took := range []time.Duration{
					0, time.Microsecond, 1234567, 999 * time.Millisecond, time.Second, 90 * time.Minute, 400 * time.Hour,
				} {
					s.checkMetadata(provider.Entry{Value: "v", LoadTime: took})
				}
			},
		},
		{
			"loaded-at",
			because("LoadedAt is kept to the microsecond. The cache counts the age of a value from it, and tells by it whether an entry is still the one that it has found."),
			func(s *session) {
				moment := time.Now().Truncate(time.Second)
				for _, at := range []time.Time{
					moment.Add(123456789),
					moment.Add(-999999 * time.Microsecond),
					moment.Add(-400 * 24 * time.Hour).In(time.FixedZone("somewhere", -7*3600)),
					moment.Add(time.Hour), // a clock that is ahead
					time.Unix(0, 0),
					time.Now(), // with a monotonic reading
				} {
					s.checkMetadata(provider.Entry{Value: "v", LoadedAt: at})
				}
			},
		},
		{
			"loaded-at-zero",
			because("A zero LoadedAt stays zero: it means that nobody knows. The beginning of 1970 would make the value half a century old."),
			func(s *session) {
				s.set(k("key"), "v", time.Hour)
				entry, found := s.get(k("key"))
				if !found || !entry.LoadedAt.IsZero() {
					s.errorf("Get returned LoadedAt %v, found %v; want the zero time, true", entry.LoadedAt, found)
				}
			},
		},
		{
			"loaded-at-same",
			because("LoadedAt is the same time whenever it is asked for, exactly, and by whatever call. Entries are told apart by it: one that changes looks as if it had been stored again."),
			checkLoadedAtSame,
		},
		{
			"validator",
			because("Validator is kept as it is: any bytes, none, or many. The source compares it, and one that is changed matches nothing, or the wrong version."),
			func(s *session) {
				for _, validator := range []string{
					"", `"33a64df551425fcc55e4d42a148795d9f25f89d4"`, `W/"0"`, " ", "\x00", "\xff\xfe", "a\x00b\r\n", "0", "日本",
					strings.Repeat("\x00\xff", 2000), strings.Repeat("v", 255), strings.Repeat("v", 256), strings.Repeat("v", 5000),
				} {
					s.checkMetadata(provider.Entry{Value: "v", Validator: validator})
				}
			},
		},
		{
			"validator-is-no-value",
			because("Validator and value are apart: what looks like the one, or like the end of it, in the other is neither."),
			func(s *session) {
				for _, text := range []string{"", "v", "\x00\x00\x00\x01v", `"`, "}"} {
					s.checkMetadata(provider.Entry{Value: text + "v", Validator: text})
					s.checkMetadata(provider.Entry{Value: text, Validator: text + "v"})
				}
			},
		},
		{
			"of-an-absence",
			because("An absence keeps FreshUntil, LoadedAt, LoadTime and Validator as a value does."),
			func(s *session) {
				s.checkMetadata(provider.Entry{
					Absent: true, FreshUntil: time.Now().Add(time.Minute), LoadTime: 5 * time.Millisecond,
					LoadedAt: time.Now(), Validator: "\x00none",
				})
			},
		},
		{
			"replaced",
			because("Set replaces FreshUntil, LoadedAt, LoadTime and Validator together with the value. Otherwise a fresh value counts as stale, or a stale one as fresh, or a new one as the old."),
			func(s *session) {
				for _, entry := range []provider.Entry{
					{Value: "v", FreshUntil: time.Now().Add(time.Minute), LoadTime: time.Second, LoadedAt: time.Now(), Validator: "a longer one"},
					{Value: "v", FreshUntil: time.Now().Add(time.Hour), LoadTime: time.Minute, LoadedAt: time.Now().Add(time.Second), Validator: "v2"},
					{Value: "v"},
					{Absent: true, LoadedAt: time.Now(), Validator: "v3"},
					{Absent: true},
				} {
					s.checkMetadata(entry)
				}
			},
		},
	}
}

func checkLoadedAtSame(s *session) {
	s.setEntry(k("key"), provider.Entry{Value: "v", LoadedAt: time.Now().Add(123456789)}, time.Hour)
	first, found := s.get(k("key"))
	if !found {
		s.fatalf("Get found nothing after Set")
	}
	same := func(call string, at time.Time) {
		s.t.Helper()
		if !at.Equal(first.LoadedAt) {
			s.errorf("%s returned LoadedAt %v, and before Get returned %v", call, at, first.LoadedAt)
		}
	}
	for range 3 {
		s.pause()
		entry, _ := s.get(k("key"))
		same("Get", entry.LoadedAt)
		if b, ok := s.store.(provider.Batcher); ok {
			same("GetMany", s.getMany(b, []provider.Key{k("key")})[0].Entry.LoadedAt)
		}
		if l, ok := s.store.(provider.Leaser); ok {
			same("Acquire", leasing{s, l}.acquire(k("key")).Entry.LoadedAt)
		}
		if r, ok := s.store.(provider.Refresher); ok {
			grants, err := r.Refresh(s.ctx(), []provider.RefreshRequest{{Key: k("key")}}, leaseTime)
			if err != nil || len(grants) != 1 {
				s.fatalf("Refresh returned %d grants and error %v", len(grants), err)
			}
			same("Refresh", grants[0].Entry.LoadedAt)
		}
	}
	s.setEntry(k("copy"), first, time.Hour) // what was read is written again
	entry, _ := s.get(k("copy"))
	same("Get of a copy", entry.LoadedAt)
}

// checkMetadata stores an entry, always under the same key, and compares it with
// what Get finds.
func (s *session) checkMetadata(want provider.Entry) {
	s.t.Helper()
	s.setEntry(k("key"), want, time.Hour)
	got, found := s.get(k("key"))
	if !found {
		s.errorf("Get found nothing after Set")
		return
	}
	s.wantEntry(k("key"), got, want)
	s.wantMetadata(got, want)
}

// wantMetadata compares times with a precision of a microsecond, and validators.
func (s *session) wantMetadata(got, want provider.Entry) {
	s.t.Helper()
	if !sameMicrosecond(got.FreshUntil, want.FreshUntil) {
		s.errorf("Get returned FreshUntil %v, want %v", got.FreshUntil, want.FreshUntil)
	}
	if !sameMicrosecond(got.LoadedAt, want.LoadedAt) {
		s.errorf("Get returned LoadedAt %v, want %v", got.LoadedAt, want.LoadedAt)
	}
	if got.Validator != want.Validator {
		s.errorf("Get returned Validator %s, want %s", shorten(fmt.Sprintf("%q", got.Validator)), shorten(fmt.Sprintf("%q", want.Validator)))
	}
	if (got.LoadTime - want.LoadTime).Abs() >= time.Microsecond {
		s.errorf("Get returned LoadTime %v, want %v", got.LoadTime, want.LoadTime)
	}
}

// sameMicrosecond compares wall clock times with a precision of a microsecond.
// The zero time equals only itself.
func sameMicrosecond(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() == b.IsZero()
	}
	return a.Round(0).Sub(b.Round(0)).Abs() < time.Microsecond
}
