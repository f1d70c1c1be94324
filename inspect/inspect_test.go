package inspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/inspect"
	"github.com/readthrough/readthrough/memory"
)

// service is a cache with a scope and its page.
type service struct {
	t     *testing.T
	cache *readthrough.Cache
	scope *readthrough.CachedScope
	page  *inspect.Handler
}

func newService(t *testing.T, options inspect.Options) *service {
	t.Helper()
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	scope, err := cache.Scope("users", readthrough.ScopeOptions{TTL: time.Hour, Jitter: -1, MaxLoads: 7})
	require.NoError(t, err)
	page, err := inspect.New(cache, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, page.Close())
		assert.NoError(t, cache.Close())
	})
	return &service{t, cache, scope, page}
}

// read reads keys, whose values are secret.
func (s *service) read(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		_, err := readthrough.Wrap(s.t.Context(), s.scope, key, func(context.Context) (string, error) { return "the secret of " + key, nil })
		require.NoError(s.t, err)
	}
}

// do makes a request, and returns the status and the body.
func (s *service) do(r *http.Request) (status int, header http.Header, body string) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.page.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Body)
	require.NoError(s.t, err)
	return w.Code, w.Header(), string(text)
}

func (s *service) get(query string) (status int, body string) {
	s.t.Helper()
	status, _, body = s.do(httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/debug/cache/"+query, nil))
	return status, body
}

// json returns what the page says as JSON.
func (s *service) json(query string) map[string]any {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/debug/cache/"+query, nil)
	r.Header.Set("Accept", "application/json")
	status, header, body := s.do(r)
	require.Equal(s.t, http.StatusOK, status)
	require.Equal(s.t, "application/json", header.Get("Content-Type"))
	var v map[string]any
	require.NoError(s.t, json.Unmarshal([]byte(body), &v), body)
	return v
}

func (s *service) post(form url.Values, header http.Header) (status int, answer http.Header, body string) {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "/debug/cache/?scope=users", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name := range header {
		r.Header.Set(name, header.Get(name))
	}
	return s.do(r)
}

// TestPage: the page and its JSON say what has happened.
func TestPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, inspect.Options{ShowKeys: true})
		time.Sleep(61 * time.Second) // not at the moment of a sample
		s.read("a", "b", "c", "a", "a")
		v := s.json("?scope=users")
		scope := v["scope"].(map[string]any)
		recent := scope["recent"].(map[string]any)
		assert.InDelta(t, 5, recent["reads"], 0)
		assert.InDelta(t, 0.4, recent["hit_ratio"], 1e-9)
		assert.InDelta(t, 3, recent["loads"], 0)
		assert.InDelta(t, 61, recent["seconds"], 0)
		assert.InDelta(t, 0.064, recent["load_p99_ms"], 1e-9, "the bound of the first bucket")
		assert.Contains(t, scope["options"], map[string]any{"name": "MaxLoads", "value": "7"})
		assert.Contains(t, scope["total"], map[string]any{"name": "Hits", "value": "2"})
		assert.Equal(t, "closed", v["store"].(map[string]any)["breaker"])
		assert.InDelta(t, 3, v["store"].(map[string]any)["entries"], 0)

		_, page := s.get("?scope=users")
		for _, want := range []string{"40.0 %", "1m1s", "MaxLoads", "≤ 64µs"} {
			assert.Contains(t, page, want)
		}
		_, page = s.get("")
		assert.Contains(t, page, `<a href="?scope=users">users</a>`)
		assert.Contains(t, page, `<polyline points="100.0`, "the hit ratio over time")

		time.Sleep(10 * time.Minute)
		recent = s.json("?scope=users")["scope"].(map[string]any)["recent"].(map[string]any)
		assert.Nil(t, recent["hit_ratio"], "there were no reads in the last minutes")
		assert.InDelta(t, 300, recent["seconds"], 10, "the history has an end")
	})
}

// TestInFlight: who loads, and who waits for it.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, inspect.Options{ShowKeys: true})
		hidden, err := inspect.New(s.cache, inspect.Options{})
		require.NoError(t, err)
		defer hidden.Close()
		shown, release := s.page, make(chan struct{})
		for range 3 {
			go func() {
				_, _ = readthrough.Wrap(t.Context(), s.scope, "slow:1", func(context.Context) (int, error) { <-release; return 0, nil })
			}()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		want := map[string]any{"key": "slow:1", "keys": 1.0, "seconds": 2.0, "waiters": 3.0, "stage": "loading", "purpose": "read"}
		assert.Equal(t, []any{want}, s.json("?scope=users")["scope"].(map[string]any)["loads"])
		s.page = hidden
		delete(want, "key")
		assert.Equal(t, []any{want}, s.json("?scope=users")["scope"].(map[string]any)["loads"], "without keys")
		_, page := s.get("?scope=users")
		assert.NotContains(t, page, "slow:1")
		s.page = shown
		close(release)
	})
}

// TestEntries: keys are listed in pages, by prefix, and values never.
func TestEntries(t *testing.T) {
	t.Parallel()
	s := newService(t, inspect.Options{ShowKeys: true})
	for i := range 150 {
		s.read(fmt.Sprintf("user:%03d", i))
	}
	s.read("other", "<script>alert(1)</script>", "line\nbreak")
	status, page := s.get("?scope=users&prefix=user:&sort=name")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, 100, strings.Count(page, `<td class="key">user:`), "the first page")
	assert.Contains(t, page, "150 in all")
	assert.NotContains(t, page, "other")
	assert.Regexp(t, `<td>(1h0m0s|59m..s)</td><td>value</td>`, page, "when they expire")
	_, next, found := strings.Cut(page, `<a href="`+"?scope=users&amp;prefix=user%3a&amp;sort=name&amp;cursor=")
	require.True(t, found, "the link to the next page: %s", page)
	cursor, _, _ := strings.Cut(next, `"`)
	_, page = s.get("?scope=users&prefix=user:&sort=name&cursor=" + cursor)
	assert.Equal(t, 50, strings.Count(page, `<td class="key">user:`), "the second page")
	assert.NotContains(t, page, "Next page")

	_, page = s.get("?scope=users&prefix=")
	assert.NotContains(t, page, "<script>alert", "keys are escaped")
	assert.Contains(t, page, `&#34;line\nbreak&#34;`, "what cannot be read is quoted")
	for _, query := range []string{"", "?scope=users", "?scope=users&prefix=", "?scope=users&prefix=&format=json"} {
		_, page = s.get(query)
		assert.NotContains(t, page, "secret", query)
	}
	_, page = s.get("?scope=users&prefix=&cursor=nonsense")
	assert.Contains(t, page, "ListOptions.Cursor")
}

// TestRefusals: what is not switched on is refused, and nothing has changed.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t, inspect.Options{})
	s.read("user:1")
	status, page := s.get("?scope=users&prefix=")
	assert.Equal(t, http.StatusForbidden, status)
	assert.NotContains(t, page, "user:1")
	status, _ = s.get("?scope=nothing")
	assert.Equal(t, http.StatusNotFound, status)
	status, header, _ := s.post(url.Values{"scope": {"users"}, "key": {"user:1"}}, nil)
	assert.Equal(t, http.StatusMethodNotAllowed, status)
	assert.Equal(t, "GET, HEAD", header.Get("Allow"))
	found, err := s.scope.Has(t.Context(), "user:1")
	assert.NoError(t, err)
	assert.True(t, found, "a page that only reads has invalidated")
	_, err = inspect.New(nil, inspect.Options{})
	assert.EqualError(t, err, "inspect: New: cache: must not be nil")
}

// TestInvalidate: forms of the page invalidate, and those of other sites do not.
func TestInvalidate(t *testing.T) {
	t.Parallel()
	s := newService(t, inspect.Options{Invalidate: true})
	has := func(key string) bool {
		found, err := s.scope.Has(t.Context(), key)
		require.NoError(t, err)
		return found
	}
	s.read("user:1", "user:2", "list:1", "other")
	for _, foreign := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://elsewhere.example"}},
	} {
		status, _, _ := s.post(url.Values{"scope": {"users"}, "key": {"user:1"}}, foreign)
		assert.Equal(t, http.StatusForbidden, status, foreign)
	}
	for _, bad := range []url.Values{{"scope": {"users"}}, {"scope": {"users"}, "prefix": {""}}, {"scope": {"users"}, "key": {strings.Repeat("k", 9000)}}} {
		status, _, _ := s.post(bad, nil)
		assert.Equal(t, http.StatusBadRequest, status, bad)
	}
	status, _, _ := s.post(url.Values{"scope": {"none"}, "key": {"user:1"}}, nil)
	assert.Equal(t, http.StatusNotFound, status)
	assert.True(t, has("user:1") && has("user:2") && has("list:1") && has("other"), "a refused request has invalidated")

	status, header, _ := s.post(url.Values{"scope": {"users"}, "key": {"user:1"}}, http.Header{"Sec-Fetch-Site": {"same-origin"}})
	assert.Equal(t, http.StatusSeeOther, status)
	assert.Equal(t, "?done=key&scope=users", header.Get("Location"), "a way back that holds wherever the page is mounted")
	assert.False(t, has("user:1"), "it is invalidated")
	assert.True(t, has("user:2"), "and nothing else")
	s.post(url.Values{"scope": {"users"}, "prefix": {"list:"}}, nil)
	assert.False(t, has("list:1"))
	status, _, body := s.post(url.Values{"scope": {"users"}, "whole": {"yes"}}, http.Header{"Accept": {"application/json"}})
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "The whole scope is invalidated.")
	assert.False(t, has("user:2") || has("other"))
}

// TestSamplingEnds with the handler, and with the cache.
func TestSamplingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, inspect.Options{})
		require.NoError(t, s.cache.Close())
		time.Sleep(20 * time.Second)
		synctest.Wait()
		_, page := s.get("")
		assert.Contains(t, page, `<dd class="bad">closed</dd>`)
		require.NoError(t, s.page.Close(), "the goroutine has ended already")
		require.NoError(t, s.page.Close(), "again")
	})
}
