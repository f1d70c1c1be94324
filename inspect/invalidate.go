package inspect

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/readthrough/readthrough"
)

// maxForm bounds the body of a POST: a key, and some names.
const maxForm = 64 << 10

// done are the messages that a redirection may ask the page to show.
var done = map[string]string{ //nolint:gochecknoglobals // constant
	"key":    "The key is invalidated.",
	"prefix": "The prefix is invalidated.",
	"scope":  "The whole scope is invalidated.",
}

// invalidate invalidates the key or the prefix of a form, and then shows the scope. An invalidation
// that the store has not confirmed is status 202: it is retried.
func (h *Handler) invalidate(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		h.show(w, r, http.StatusBadRequest, "inspect: the form cannot be read: "+err.Error())
		return
	}
	scopes, name := h.cache.Scopes(), r.PostForm.Get("scope")
	i := slices.IndexFunc(scopes, func(s *readthrough.CachedScope) bool { return s.Name() == name })
	if i < 0 {
		h.show(w, r, http.StatusNotFound, "inspect: no scope "+legible(name))
		return
	}
	what, targets := targetsOf(r.PostForm)
	if what == "" {
		h.show(w, r, http.StatusBadRequest, "inspect: nothing is invalidated: the form has no key, or no prefix; for the whole scope, tick its box")
		return
	}
	_, err := scopes[i].InvalidateTargets(r.Context(), targets)
	switch {
	case err == nil && wantsJSON(r):
		h.show(w, r, http.StatusOK, done[what])
	case err == nil:
		w.Header().Set("Location", "?"+url.Values{"scope": {name}, "done": {what}}.Encode())
		w.WriteHeader(http.StatusSeeOther)
	case errors.Is(err, readthrough.ErrInvalidationPending):
		h.show(w, r, http.StatusAccepted, "The store has not confirmed the invalidation. It is retried; until then, other processes may read the old value. "+h.reason(err))
	default:
		h.show(w, r, http.StatusBadRequest, h.reason(err))
	}
}

// targetsOf returns what a form asks for, and which message says that it is done; "" if it asks for
// nothing. An empty prefix stands for the whole scope, which a form has to say.
func targetsOf(form url.Values) (what string, targets readthrough.Targets) {
	switch key, prefix := form.Get("key"), form.Get("prefix"); {
	case key != "":
		return "key", readthrough.Targets{Keys: []string{key}}
	case prefix != "":
		return "prefix", readthrough.Targets{Prefixes: []string{prefix}}
	case form.Get("whole") != "":
		return "scope", readthrough.Targets{Prefixes: []string{""}}
	default:
		return "", readthrough.Targets{}
	}
}
