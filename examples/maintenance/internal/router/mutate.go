package router

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/users"
)

func (rt *router) create(r *http.Request) (reply, error) {
	draft, err := decodeBody[service.Draft](r)
	if err != nil {
		return reply{}, err
	}
	if err := rt.checkUser("created_by", draft.CreatedBy); err != nil {
		return reply{}, err
	}
	m, err := rt.Maintenances.Create(r.Context(), draft)
	return rt.changed(http.StatusCreated, m, err)
}

func (rt *router) update(r *http.Request) (reply, error) {
	id, err := pathID(r)
	if err != nil {
		return reply{}, err
	}
	patch, err := decodeBody[service.Patch](r)
	if err != nil {
		return reply{}, err
	}
	m, err := rt.Maintenances.Update(r.Context(), id, patch)
	return rt.changed(http.StatusOK, m, err)
}

func (rt *router) addUpdate(r *http.Request) (reply, error) {
	id, err := pathID(r)
	if err != nil {
		return reply{}, err
	}
	report, err := decodeBody[service.Report](r)
	if err != nil {
		return reply{}, err
	}
	if err := rt.checkUser("author", report.Author); err != nil {
		return reply{}, err
	}
	m, err := rt.Maintenances.AddUpdate(r.Context(), id, report)
	return rt.changed(http.StatusCreated, m, err)
}

func (rt *router) closeMaintenance(r *http.Request) (reply, error) {
	id, err := pathID(r)
	if err != nil {
		return reply{}, err
	}
	closing, err := decodeBody[service.Closing](r)
	if err != nil {
		return reply{}, err
	}
	if err := rt.checkUser("author", closing.Author); err != nil {
		return reply{}, err
	}
	m, err := rt.Maintenances.CloseMaintenance(r.Context(), id, closing)
	return rt.changed(http.StatusOK, m, err)
}

func (rt *router) remove(r *http.Request) (reply, error) {
	id, err := pathID(r)
	if err != nil {
		return reply{}, err
	}
	m, err := rt.Maintenances.Delete(r.Context(), id)
	return rt.changed(http.StatusNoContent, m, err)
}

func (rt *router) renameUser(r *http.Request) (reply, error) {
	body, err := decodeBody[struct {
		Name string `json:"name"`
	}](r)
	if err != nil {
		return reply{}, err
	}
	err = rt.Users.Rename(r.PathValue("id"), body.Name)
	switch {
	case errors.Is(err, users.ErrUnknown):
		return reply{}, &requestError{http.StatusNotFound, "id", "there is no such user"}
	case errors.Is(err, users.ErrBadName):
		return reply{}, badRequest("name", "must have 1 to 80 characters")
	}
	return reply{status: http.StatusNoContent}, err
}

// changed answers a mutation.
func (rt *router) changed(status int, m service.Maintenance, err error) (reply, error) {
	return reply{status: status, body: rt.view(m)}, err
}

// checkUser checks that a user exists. It accepts an empty id: the service
// rejects that.
func (rt *router) checkUser(field, id string) error {
	if id != "" && !rt.Users.Known(id) {
		return badRequest(field, fmt.Sprintf("there is no user %.80q", id))
	}
	return nil
}
