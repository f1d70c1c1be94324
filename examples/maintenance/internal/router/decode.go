package router

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// pathID returns the id of a maintenance in the path.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, badRequest("id", fmt.Sprintf("%.40q is no id: a whole number from 1 on", r.PathValue("id")))
	}
	return id, nil
}

// decodeBody reads the body of a request: one JSON object with no other fields
// than those of T.
func decodeBody[T any](r *http.Request) (T, error) {
	var body T
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return body, bodyError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		if err != nil {
			return body, bodyError(err)
		}
		return body, badRequest("body", "there is more than one JSON value")
	}
	return body, nil
}

// bodyError describes for the client what is wrong with the body.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var badTime *time.ParseError
	switch {
	case errors.As(err, &tooLarge):
		return &requestError{
			http.StatusRequestEntityTooLarge, "body", fmt.Sprintf("must have at most %d bytes", tooLarge.Limit),
		}
	case errors.As(err, &wrongType):
		field := wrongType.Field
		if field == "" {
			field = "body"
		}
		return badRequest(field, "must not be a JSON "+wrongType.Value)
	case errors.As(err, &syntax):
		return badRequest("body", fmt.Sprintf("is no JSON: %v at byte %d", syntax, syntax.Offset))
	case errors.As(err, &badTime):
		return badRequest("body", badTimeText(badTime.Value))
	case errors.Is(err, io.EOF):
		return badRequest("body", "is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return badRequest("body", "is no JSON: it ends in the middle")
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return badRequest(strings.Trim(field, `"`), "there is no such field")
	}
	return badRequest("body", "cannot be read: "+err.Error())
}

func badTimeText(value string) string {
	return fmt.Sprintf("%.40s is no time: RFC 3339 is expected, such as \"2026-12-01T22:00:00Z\"", value)
}

// decodeQuery returns the parameters of a request. Only those in names are
// allowed.
func decodeQuery(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("query", "cannot be parsed: "+err.Error())
	}
	for name := range query {
		if !slices.Contains(names, name) {
			return nil, badRequest(name, "there is no such parameter; there are "+strings.Join(names, ", "))
		}
	}
	return query, nil
}

// decodeFilters returns the filters in the parameters of a request.
func decodeFilters(r *http.Request) (service.Filters, error) {
	query, err := decodeQuery(r, "status", "system", "from", "to", "text", "limit")
	if err != nil {
		return service.Filters{}, err
	}
	for _, name := range []string{"from", "to", "text", "limit"} {
		if len(query[name]) > 1 {
			return service.Filters{}, badRequest(name, "is given more than once")
		}
	}
	filters := service.Filters{Systems: query["system"], Text: query.Get("text")}
	for _, status := range query["status"] {
		filters.Statuses = append(filters.Statuses, service.Status(status))
	}
	if filters.From, err = decodeTime(query, "from"); err != nil {
		return service.Filters{}, err
	}
	if filters.To, err = decodeTime(query, "to"); err != nil {
		return service.Filters{}, err
	}
	if query.Has("limit") {
		filters.Limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || filters.Limit < 1 {
			return service.Filters{}, badRequest("limit", fmt.Sprintf("must be a number from 1 to %d", service.MaxLimit))
		}
	}
	return filters, nil
}

func decodeTime(query url.Values, name string) (time.Time, error) {
	if !query.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, query.Get(name))
	if err != nil {
		return time.Time{}, badRequest(name, badTimeText(strconv.Quote(query.Get(name))))
	}
	return t, nil
}
