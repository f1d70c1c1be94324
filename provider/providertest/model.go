package providertest

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// modelSeed determines the random calls of the model case. It is the same in
// every run. A failure shows it and the number of the call.
const modelSeed = 20261124

func modelCases() []testCase {
	return []testCase{{
		"random-calls",
		because("Whatever calls come in whatever order, a store answers as a plain map with expiry times does. This is the whole contract of a single caller at once."),
		func(s *session) {
			for seed := uint64(modelSeed); seed < modelSeed+3; seed++ {
				m := &model{
					session: s, seed: seed,
					random:  rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // a test wants repeatable numbers
					entries: map[provider.Key]modelEntry{},
				}
				m.run(1000)
			}
		},
	}}
}

// A model is the simplest possible store: a map. It and the store under test
// get the same random calls, and must give the same answers. One goroutine uses
// it. call is the number of the current call, for messages.
type model struct {
	*session

	seed    uint64
	random  *rand.Rand
	entries map[provider.Key]modelEntry
	call    int
}

// modelEntry is an entry of a model. A zero ends means no end.
type modelEntry struct {
	value int
	ends  time.Time
}

// run makes n calls, compares all keys, and cleans up.
func (m *model) run(n int) {
	for m.call = range n {
		switch m.random.IntN(10) {
		case 0, 1, 2, 3:
			m.set()
		case 4, 5, 6:
			m.check(m.key())
		case 7:
			m.delete()
		case 8:
			m.deletePrefix()
		default:
			m.wait()
		}
	}
	for key := range m.entries {
		m.check(key)
	}
	for _, scope := range modelScopes() {
		m.wantCount(scope, "")
	}
}

func modelScopes() []string { return []string{"", "a", "a:", "*"} }

// text returns a short text of few letters, so that one text is often a prefix
// of another.
func (m *model) text(most int) string {
	letters := []string{"a", "b", ":", "*", "[", `\`, "\x00", "\xff"}
	var text strings.Builder
	for range m.random.IntN(most + 1) {
		text.WriteString(letters[m.random.IntN(len(letters))])
	}
	return text.String()
}

func (m *model) key() provider.Key {
	scopes := modelScopes()
	return provider.Key{Scope: scopes[m.random.IntN(len(scopes))], Name: m.text(3)}
}

// live returns the live entry of the model under key.
func (m *model) live(key provider.Key) (modelEntry, bool) {
	entry, found := m.entries[key]
	if !found || (!entry.ends.IsZero() && !time.Now().Before(entry.ends)) {
		return modelEntry{}, false
	}
	return entry, true
}

// set stores an entry. It uses short TTLs in a bubble only.
func (m *model) set() {
	key, ttl := m.key(), provider.NoExpiry
	entry := modelEntry{value: m.call}
	if m.exact() && m.random.IntN(2) == 0 {
		ttl = time.Duration(1 + m.random.Int64N(int64(3*time.Second)))
		entry.ends = time.Now().Add(ttl)
	}
	m.session.set(key, entry.value, ttl)
	m.entries[key] = entry
}

func (m *model) wait() {
	if m.exact() {
		time.Sleep(time.Duration(m.random.IntN(int(time.Second))))
	}
}

func (m *model) delete() {
	keys := make([]provider.Key, m.random.IntN(6))
	for i := range keys {
		keys[i] = m.key()
	}
	m.remove(keys...)
	for _, key := range keys {
		delete(m.entries, key)
		m.check(key)
	}
}

func (m *model) deletePrefix() {
	m.wantCount(m.key().Scope, m.text(2))
}

// wantCount deletes by prefix from both stores and compares the counts.
func (m *model) wantCount(scope, prefix string) {
	want := 0
	for key := range m.entries {
		if key.Scope != scope || !strings.HasPrefix(key.Name, prefix) {
			continue
		}
		if _, live := m.live(key); live {
			want++
		}
		delete(m.entries, key)
	}
	if n := m.removePrefix(scope, prefix); n != want {
		m.fatalf("seed %d, call %d: DeletePrefix(%s) = %d, want %d", m.seed, m.call, show(provider.Key{Scope: scope, Name: prefix}), n, want)
	}
}

// check compares what both stores hold under key.
func (m *model) check(key provider.Key) {
	want, live := m.live(key)
	entry, found := m.get(key)
	got, ok := as[int](entry.Value)
	switch {
	case found != live:
		m.fatalf("seed %d, call %d: Get(%s): found %v, want %v", m.seed, m.call, show(key), found, live)
	case found && (!ok || got != want.value):
		m.fatalf("seed %d, call %d: Get(%s) found %s, want %d", m.seed, m.call, show(key), brief(entry.Value), want.value)
	}
}
