package inspect

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/readthrough/readthrough"
)

//go:embed page.html
var pageSource string

// parsePage returns the template of the page. New parses it once.
func parsePage() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"percent": func(part *float64) string {
			if part == nil {
				return "–"
			}
			return fmt.Sprintf("%.1f %%", 100**part) //nolint:mnd // percent
		},
		"millis": func(ms *float64) string {
			if ms == nil {
				return "–"
			}
			return "≤ " + strings.TrimSuffix(fmt.Sprintf("%.1f", *ms), ".0") + " ms"
		},
		"number": func(n *int64) string {
			if n == nil {
				return "–"
			}
			return fmt.Sprint(*n)
		},
		"limit": func(n *int64) string {
			if n == nil || *n == 0 {
				return ""
			}
			return fmt.Sprintf(" of %d", *n)
		},
		"rate": func(n int64, seconds float64) string { return fmt.Sprintf("%.1f", float64(n)/max(seconds, 1)) },
		"plot": plot,
		"bars": bars,
		"seconds": func(s float64) string {
			return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
		},
	}).Parse(pageSource))
}

// Ago returns how long ago t was when the page was made.
func (v *view) Ago(t *time.Time) string {
	return span(t, func(t time.Time) time.Duration { return v.At.Sub(t) })
}

// Until returns how long after the page was made t will be.
func (v *view) Until(t *time.Time) string {
	return span(t, func(t time.Time) time.Duration { return t.Sub(v.At) })
}

// span returns a duration to or from a time; nil: there is no such time.
func span(t *time.Time, distance func(time.Time) time.Duration) string {
	if t == nil {
		return "–"
	}
	d := distance(*t)
	if d.Abs() > time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// plot returns the points of a line of hit ratios, in a box of 100 by 20. Where there were no
// reads, the line goes on as it was.
func plot(ratios []*float64) string {
	const width, height = 100.0, 20.0
	var points strings.Builder
	last := -1.0
	for i, ratio := range ratios {
		if ratio != nil {
			last = *ratio
		}
		if last >= 0 {
			fmt.Fprintf(&points, "%.1f,%.1f ", width*float64(i)/max(float64(len(ratios)-1), 1), height-1-(height-2)*last)
		}
	}
	return points.String()
}

// bar is a part of the distribution of load times.
type bar struct {
	UpTo  string
	Count int64
	// Part is how long the bar is: 100 for the longest.
	Part int64
}

// bars returns the distribution from the first to the last part that is not empty.
func bars(w window) []bar {
	var all []bar
	var most int64
	for _, b := range w.loads {
		most = max(most, b.Count)
	}
	empty := 0
	for _, b := range w.loads {
		if b.Count == 0 && len(all) == 0 {
			continue
		}
		if empty++; b.Count > 0 {
			empty = 0
		}
		upTo := "longer"
		if b.UpTo != readthrough.NoExpiry {
			upTo = "≤ " + b.UpTo.String()
		}
		all = append(all, bar{upTo, b.Count, 100 * b.Count / most}) //nolint:mnd // percent
	}
	return all[:len(all)-empty]
}

// nonceKey is the key of a nonce in a context.
type nonceKey struct{}

func withNonce(ctx context.Context, nonce string) context.Context {
	return context.WithValue(ctx, nonceKey{}, nonce)
}

// show answers a request with the page, or with JSON. A request for what must not be shown, or does
// not exist, gets another status and says why.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, status int, message string) {
	query := r.URL.Query()
	v, err := h.view(r.Context(), query)
	switch {
	case status != http.StatusOK:
	case err != nil:
		status, message = http.StatusNotFound, err.Error()
	case query.Has("prefix") && !h.options.ShowKeys:
		status, message = http.StatusForbidden, "keys are not shown: inspect.Options.ShowKeys is not set"
	case message == "":
		message = done[query.Get("done")]
	}
	v.Message = message
	v.Nonce, _ = r.Context().Value(nonceKey{}).(string) //nolint:errcheck // set by ServeHTTP
	var body bytes.Buffer
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(&body)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(v)
	} else {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		err = h.page.Execute(&body, v)
	}
	if err != nil {
		http.Error(w, "inspect: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) //nolint:errcheck // the client has left
}

// wantsJSON reports whether a request asks for JSON.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}
