// Package inspect shows what a cache is doing on a page, which must not be reachable from outside:
// whoever can open it sees how the service works. Mount it where pprof is, on a port of
// its own or behind the login of the operators:
//
//	page, err := inspect.New(cache, inspect.Options{})
//	mux.Handle("/debug/cache/", page)
//
// The page has the scopes with their options, statistics and hit ratio over the last minutes, the
// loads under way and the reads that wait for them, what is pending and since when, the breaker, and
// the store. It needs no JavaScript; with it, the page renews itself. A request with
// "Accept: application/json", or with ?format=json, gets the same as JSON.
//
// It reads only, and shows neither keys nor values. [Options.ShowKeys] shows keys: those in flight,
// those pending, and the entries of the store, paged, by prefix. [Options.Invalidate] adds forms that
// invalidate a key or a prefix. Values are never shown.
package inspect

import (
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/readthrough/readthrough"
)

// Options configure a [Handler]. The zero value shows no keys and changes nothing.
type Options struct {
	// ShowKeys shows keys: of loads in flight, of pending invalidations, and of entries, which can be
	// listed by prefix. Keys may have names, addresses or tokens in them. False means that listings
	// are refused with status 403 and that errors are shown without the key that they name.
	// Example: true, if the page is behind a login.
	ShowKeys bool

	// Invalidate lets the page invalidate a key or a prefix of a scope, by POST. Requests of pages
	// of other sites are refused ([http.CrossOriginProtection]). False means that every POST is
	// refused with status 405. Example: true, if all who may see the page may do that.
	Invalidate bool

	_ struct{}
}

// Handler is the page. Make it with [New]. It is safe for concurrent use.
type Handler struct {
	// The following are set by New and not changed.
	cache   *readthrough.Cache
	options Options
	guarded http.Handler
	page    *template.Template
	done    chan struct{} // closed when the sampling has ended

	stop    chan struct{} // closed by Close
	closing sync.Once

	history history
}

// New returns the page of a cache. It takes a sample of the statistics every 10 seconds, in a
// goroutine that ends with [Handler.Close], and within 10 seconds after the cache was closed. It
// returns an error if cache is nil.
func New(cache *readthrough.Cache, options Options) (*Handler, error) {
	if cache == nil {
		return nil, errors.New("inspect: New: cache: must not be nil")
	}
	h := &Handler{cache: cache, options: options, page: parsePage(), done: make(chan struct{}), stop: make(chan struct{})}
	protection := http.NewCrossOriginProtection()
	h.guarded = protection.Handler(http.HandlerFunc(h.serve))
	h.history.add(time.Now(), cache.Scopes())
	go h.sample()
	return h, nil
}

// Close ends the sampling. The page works on, with the history that it has. Close returns nil, and
// may be called several times.
func (h *Handler) Close() error {
	h.closing.Do(func() { close(h.stop) })
	<-h.done
	return nil
}

// sample adds to the history until the handler or the cache is closed.
func (h *Handler) sample() {
	defer close(h.done)
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-h.stop:
			return
		case now := <-ticker.C:
			if h.cache.StoreState().Closed {
				return
			}
			h.history.add(now, h.cache.Scopes())
		}
	}
}

// ServeHTTP serves the page at every path below which it is mounted. The query selects what is
// shown: scope, prefix, sort and cursor of the entries, and format.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Nothing is loaded from anywhere, and no other page may frame this one.
	nonce := rand.Text()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+
		"'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has keys in it
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept")
	h.guarded.ServeHTTP(w, r.WithContext(withNonce(r.Context(), nonce)))
}

// serve answers a request that comes from no other site.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		h.show(w, r, http.StatusOK, "")
	case r.Method == http.MethodPost && h.options.Invalidate:
		h.invalidate(w, r)
	default:
		allowed := "GET, HEAD"
		if h.options.Invalidate {
			allowed += ", POST"
		}
		w.Header().Set("Allow", allowed)
		h.show(w, r, http.StatusMethodNotAllowed, "this page only reads: inspect.Options.Invalidate is not set")
	}
}
