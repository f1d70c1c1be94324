package router

import "net/http"

// deleteSystem deletes a system. Its maintenances stay, without it.
func (rt *router) deleteSystem(r *http.Request) (reply, error) {
	return reply{status: http.StatusNoContent}, rt.Maintenances.DeleteSystem(r.Context(), r.PathValue("id"))
}

// subscribe lets a user be told of the maintenances of a system.
func (rt *router) subscribe(r *http.Request) (reply, error) {
	if err := rt.checkUser("user", r.PathValue("user")); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusNoContent}, rt.Maintenances.Subscribe(r.Context(), r.PathValue("user"), r.PathValue("id"))
}

func (rt *router) unsubscribe(r *http.Request) (reply, error) {
	return reply{status: http.StatusNoContent}, rt.Maintenances.Unsubscribe(r.Context(), r.PathValue("user"), r.PathValue("id"))
}
