package router

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/anomalies"
	"github.com/readthrough/readthrough/examples/dashboard/internal/catalog"
	"github.com/readthrough/readthrough/examples/dashboard/internal/health"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/notifications"
	"github.com/readthrough/readthrough/examples/dashboard/internal/objectives"
)

// maxBody is the size of the largest request body, in bytes.
const maxBody = 256 << 10

// badRequestError is the error of a request that makes no sense.
type badRequestError struct{ text string }

// Error returns the text.
func (e *badRequestError) Error() string { return e.text }

// get answers with what f returns, as JSON.
func get(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := f(r)
		answer(w, r, body, err)
	})
}

// change runs a change, whose body is a T in JSON, or nothing.
func change[T any](f func(context.Context, *http.Request, T) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in T
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in)
		if err != nil && !errors.Is(err, io.EOF) {
			answer(w, r, nil, &badRequestError{"the body is not what is expected: " + err.Error()})
			return
		}
		answer(w, r, struct{}{}, f(r.Context(), r, in))
	})
}

func answer(w http.ResponseWriter, r *http.Request, body any, err error) {
	status := http.StatusOK
	if err != nil {
		status = statusOf(err)
		body = map[string]string{"error": err.Error()}
		if status == http.StatusInternalServerError && r.Context().Err() == nil {
			slog.ErrorContext(r.Context(), "request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		http.Error(w, `{"error":"internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) //nolint:errcheck // the client has gone
}

// statusOf returns the status for an error.
func statusOf(err error) int {
	if bad := (*badRequestError)(nil); errors.As(err, &bad) {
		return http.StatusBadRequest
	}
	for _, invalid := range []error{incidents.ErrInvalid, objectives.ErrInvalid, anomalies.ErrInvalid, catalog.ErrInvalid, notifications.ErrInvalid, announcements.ErrInvalid} {
		if errors.Is(err, invalid) {
			return http.StatusBadRequest
		}
	}
	for _, absent := range []error{readthrough.ErrNotFound, health.ErrNotFound, incidents.ErrNotFound, objectives.ErrNotFound, anomalies.ErrNotFound, catalog.ErrNotFound, announcements.ErrNotFound} {
		if errors.Is(err, absent) {
			return http.StatusNotFound
		}
	}
	if errors.Is(err, readthrough.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
