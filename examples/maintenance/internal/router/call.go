package router

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// maxBody is the size of the largest request body, in bytes.
const maxBody = 64 << 10

// call answers one kind of request with a reply or an error.
type call func(r *http.Request) (reply, error)

// reply is a successful answer.
type reply struct {
	status int // zero: 200
	body   any
}

// ServeHTTP answers the request as JSON.
func (c call) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	answer, err := c(r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	writeJSON(w, r, answer.status, answer.body)
}

// requestError is an error in the request.
type requestError struct {
	status int
	field  string
	text   string
}

// Error returns the text.
func (e *requestError) Error() string { return e.text }

// badRequest returns the error for a field of the request.
func badRequest(field, text string) error {
	return &requestError{http.StatusBadRequest, field, text}
}

// errorBody is the body of every error answer.
type errorBody struct {
	Error string `json:"error"`
	// Field is the wrong field or parameter, if there is one.
	Field string `json:"field,omitempty"`
}

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	status, body := describe(err)
	if status == http.StatusInternalServerError && r.Context().Err() == nil {
		slog.ErrorContext(r.Context(), "request failed",
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	writeJSON(w, r, status, body)
}

// describe returns the status and the body for err.
func describe(err error) (status int, body errorBody) {
	var request *requestError
	var invalid *service.InvalidError
	var conflict *service.ConflictError
	switch {
	case errors.As(err, &request):
		return request.status, errorBody{request.text, request.field}
	case errors.As(err, &invalid):
		return http.StatusBadRequest, errorBody{invalid.Problem, invalid.Field}
	case errors.As(err, &conflict):
		return http.StatusConflict, errorBody{Error: conflict.Problem}
	case errors.Is(err, service.ErrNotFound):
		return http.StatusNotFound, errorBody{Error: "there is nothing with this id"}
	case errors.Is(err, readthrough.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, errorBody{Error: "the service cannot answer now"}
	default:
		return http.StatusInternalServerError, errorBody{Error: "internal error"}
	}
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		slog.ErrorContext(r.Context(), "answer cannot be encoded", slog.Any("error", err))
		http.Error(w, `{"error":"internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(encoded, '\n')); err != nil {
		return // the client has gone
	}
}

// withJSONErrors also answers with JSON if mux has no pattern for a request.
func withJSONErrors(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		refusal := &refusal{ResponseWriter: w, status: http.StatusNotFound}
		handler.ServeHTTP(refusal, r) // sets the status, and Allow if only the method is wrong
		text := "there is no such path"
		if refusal.status == http.StatusMethodNotAllowed {
			text = "the path does not take " + r.Method
		}
		writeJSON(w, r, refusal.status, errorBody{Error: text})
	})
}

// refusal takes the status of an answer and drops its text.
type refusal struct {
	http.ResponseWriter

	status int
}

// WriteHeader stores the status.
func (w *refusal) WriteHeader(status int) { w.status = status }

// Write drops the text.
func (w *refusal) Write(data []byte) (int, error) { return len(data), nil }
