package cache

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// Subscribers of the affected systems are told after the invalidation and before the signal, with names instead of ids.
func TestSubscribersAreTold(t *testing.T) {
	p := open(t, nil)
	require.NoError(t, p.Subscribe(t.Context(), "mara", "dns"))
	require.NoError(t, p.Subscribe(t.Context(), "ines", "api"))
	require.NoError(t, p.Subscribe(t.Context(), "tomas", "mail"))
	require.ErrorIs(t, p.Subscribe(t.Context(), "tomas", "nosuch"), service.ErrNotFound)
	var told []string
	p.Notify(func(id string) string { return "the " + id }, func(_ context.Context, text string, users ...string) error {
		assert.Len(t, p.signals.published, len(told), "signals before")
		told = append(told, text)
		assert.Equal(t, []string{"ines", "mara"}, users)
		return nil
	})
	m := p.create(t, "dns", "api")
	_, err := p.AddUpdate(t.Context(), m.ID, service.Report{Author: "lin", Message: "Soon."})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"Replace disks (Public API, Name servers) is planned. Planned by the lin.",
		"Replace disks (Public API, Name servers) is planned. the lin: Soon.",
	}, told)
	require.NoError(t, p.Unsubscribe(t.Context(), "mara", "dns"))
	require.NoError(t, p.Unsubscribe(t.Context(), "ines", "api"))
	_, err = p.Delete(t.Context(), m.ID)
	require.NoError(t, err)
	assert.Len(t, told, 2, "nobody has subscribed any more")
}

// A deleted system is gone from its maintenances and from every list. What does not show it stays cached.
func TestDeletedSystem(t *testing.T) {
	p := open(t, nil)
	m := p.create(t, "dns", "api")
	read := func() (service.Maintenance, int) {
		dns := must[map[string][]service.Maintenance](t)(p.BySystems(t.Context(), []string{"dns", "mail"}))["dns"]
		list := must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{Systems: []string{"dns"}}))
		assert.Len(t, list, len(dns))
		return must[service.Maintenance](t)(p.Get(t.Context(), m.ID)), len(dns)
	}
	_, before := read()
	require.Positive(t, before)
	require.NoError(t, p.DeleteSystem(t.Context(), "dns"))
	n := p.queries(func() { must[[]service.Maintenance](t)(p.BySystem(t.Context(), "mail")) })
	assert.Zero(t, n, "queries for another system")
	after, left := read()
	assert.Equal(t, []string{"api"}, after.SystemIDs)
	assert.Equal(t, int64(2), after.Version)
	assert.Zero(t, left)
	_, err := p.BySystem(t.Context(), "dns")
	assert.ErrorIs(t, err, service.ErrNotFound)
	assert.ErrorIs(t, p.DeleteSystem(t.Context(), "dns"), service.ErrNotFound)
}
