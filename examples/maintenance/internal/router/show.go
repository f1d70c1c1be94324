package router

import (
	"errors"
	"net/http"
	"time"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/users"
	"github.com/readthrough/readthrough/examples/maintenance/internal/load"
)

// The page needs more than the service: names to choose from, and load to look
// at.

func (rt *router) systems(r *http.Request) (reply, error) {
	systems, err := rt.Maintenances.Systems(r.Context())
	return reply{body: struct {
		Systems []service.System `json:"systems"`
	}{systems}}, err
}

func (rt *router) users(*http.Request) (reply, error) {
	return reply{body: struct {
		Users []users.User `json:"users"`
	}{rt.Users.All()}}, nil
}

// storm makes many readers read a maintenance that is not cached, all at the
// same time.
func (rt *router) storm(r *http.Request) (reply, error) {
	body, err := decodeBody[struct {
		ID      int64 `json:"id"`
		Readers int   `json:"readers"`
	}](r)
	if err != nil {
		return reply{}, err
	}
	if body.Readers < 1 || body.Readers > load.MaxReaders {
		return reply{}, badRequest("readers", "must be 1 to 1000")
	}
	report, err := rt.Load.Storm(r.Context(), body.ID, body.Readers)
	return reply{body: report}, busy(err)
}

// readers runs some readers for some seconds.
func (rt *router) readers(r *http.Request) (reply, error) {
	body, err := decodeBody[struct {
		Seconds int `json:"seconds"`
	}](r)
	if err != nil {
		return reply{}, err
	}
	d := time.Duration(body.Seconds) * time.Second
	if d <= 0 || d > load.MaxDuration {
		return reply{}, badRequest("seconds", "must be 1 to 30")
	}
	report, err := rt.Load.Steady(r.Context(), d)
	return reply{body: report}, busy(err)
}

func busy(err error) error {
	if errors.Is(err, load.ErrBusy) {
		return &requestError{http.StatusConflict, "", "other readers are at it: one after the other"}
	}
	return err
}

// setLink cuts the connection to the store or heals it.
func (rt *router) setLink(r *http.Request) (reply, error) {
	body, err := decodeBody[struct {
		Cut *bool `json:"cut"`
	}](r)
	if err != nil {
		return reply{}, err
	}
	if body.Cut == nil {
		return reply{}, badRequest("cut", "is missing")
	}
	if rt.Link == nil {
		return reply{}, &requestError{http.StatusConflict, "", "the cache is in memory: there is no connection to cut"}
	}
	rt.Link.SetCut(*body.Cut)
	return reply{status: http.StatusNoContent}, nil
}
