package providertest

import (
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
			"of-an-absence",
			because("An absence keeps FreshUntil and LoadTime as a value does."),
			func(s *session) {
				s.checkMetadata(provider.Entry{Absent: true, FreshUntil: time.Now().Add(time.Minute), LoadTime: 5 * time.Millisecond})
			},
		},
		{
			"replaced",
			because("Set replaces FreshUntil and LoadTime together with the value. Otherwise a fresh value counts as stale, or a stale one as fresh."),
			func(s *session) {
				s.checkMetadata(provider.Entry{Value: "v", FreshUntil: time.Now().Add(time.Minute), LoadTime: time.Second})
				s.checkMetadata(provider.Entry{Value: "v", FreshUntil: time.Now().Add(time.Hour), LoadTime: time.Minute})
				s.checkMetadata(provider.Entry{Value: "v"})
			},
		},
	}
}

// checkMetadata stores an entry, always under the same key, and compares what is
// found.
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

// wantMetadata compares FreshUntil and LoadTime to the microsecond.
func (s *session) wantMetadata(got, want provider.Entry) {
	s.t.Helper()
	if !sameMicrosecond(got.FreshUntil, want.FreshUntil) {
		s.errorf("Get returned FreshUntil %v, want %v", got.FreshUntil, want.FreshUntil)
	}
	if (got.LoadTime - want.LoadTime).Abs() >= time.Microsecond {
		s.errorf("Get returned LoadTime %v, want %v", got.LoadTime, want.LoadTime)
	}
}

// sameMicrosecond compares wall clock times, the zero one with itself only.
func sameMicrosecond(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() == b.IsZero()
	}
	return a.Round(0).Sub(b.Round(0)).Abs() < time.Microsecond
}
