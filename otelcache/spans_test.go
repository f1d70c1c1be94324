package otelcache_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/otelcache"
)

// TestSpansOfAMutation: the write, the invalidation, and what the store is asked, are below it.
func TestSpansOfAMutation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, request := r.tracer.Start(t.Context(), "request")
	mutate := func(write error) error {
		_, err := readthrough.Mutate(ctx, r.scope, readthrough.Mutation[int]{
			Write: func(ctx context.Context) (int, error) {
				_, query := r.tracer.Start(ctx, "update")
				query.End()
				return 1, write
			},
			Targets: r.scope.Of("secret", "b"),
			Emit: func(ctx context.Context, _ int) error {
				_, send := r.tracer.Start(ctx, "send")
				send.End()
				return nil
			},
		})
		return err
	}
	require.NoError(t, mutate(nil))
	mutation := r.named("mutate users", 1)[0]
	assert.Equal(t, request.SpanContext().SpanID(), mutation.Parent.SpanID())
	assert.Contains(t, mutation.Attributes, attribute.Int("readthrough.targets", 2))
	assert.Equal(t, codes.Unset, mutation.Status.Code)
	for _, name := range []string{"update", "invalidate users", "delete users", "send"} {
		span := r.named(name, 1)[0]
		assert.Equal(t, mutation.SpanContext.SpanID(), span.Parent.SpanID(), name)
		assert.False(t, span.StartTime.Before(mutation.StartTime), name)
		assert.False(t, span.EndTime.After(mutation.EndTime), name)
	}

	later, err := readthrough.Mutate(ctx, r.scope, readthrough.Mutation[int]{
		Write:      func(context.Context) (int, error) { return 2, nil },
		Invalidate: func(int) readthrough.Targets { return r.scope.Of("secret") },
	})
	require.NoError(t, err)
	assert.Equal(t, 2, later)
	assert.Contains(t, r.named("mutate users", 2)[1].Attributes, attribute.Int("readthrough.targets", 0), "they are known after the write")

	require.ErrorIs(t, mutate(errAway), errAway)
	failed := r.named("mutate users", 3)[2]
	assert.Equal(t, codes.Error, failed.Status.Code)
	assert.Contains(t, failed.Attributes, attribute.String("error.type", "_OTHER"))
	r.store.away.Store(true)
	require.NoError(t, mutate(nil), "a pending invalidation fails no mutation")
	refused := r.named("delete users", 4)[3]
	assert.Equal(t, codes.Error, refused.Status.Code)
	r.wantNoSecrets()
	for _, e := range r.collect()["readthrough.store.request.duration"].(metricdata.Histogram[float64]).DataPoints {
		assert.True(t, has(e.Attributes, []string{"readthrough.operation=delete"}), "%v", e.Attributes.ToSlice())
	}
}

// wantNoSecrets looks for a key in the spans.
func (r *rig) wantNoSecrets() {
	r.t.Helper()
	for _, s := range r.spans.GetSpans() {
		for _, a := range s.Attributes {
			assert.NotContains(r.t, a.Value.String(), "secret", "keys are in no span: %s %s", s.Name, a.Key)
		}
		assert.NotContains(r.t, s.Status.Description, "secret", s.Name)
	}
}

// TestSpansOfAMutationThatPanics end, too.
func TestSpansOfAMutationThatPanics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	assert.PanicsWithValue(t, "oh", func() {
		_, _ = readthrough.Mutate(t.Context(), r.scope, readthrough.Mutation[int]{
			Write:   func(context.Context) (int, error) { panic("oh") },
			Targets: r.scope.Of("k"),
		})
	})
	assert.Equal(t, codes.Error, r.named("mutate users", 1)[0].Status.Code)
}

// TestSpansOfTheStore: what a miss asks of the store is below its read, beside the load; and a hit asks
// nothing that is told.
func TestSpansOfTheStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, request := r.tracer.Start(t.Context(), "request")
	r.read(ctx, "secret", nil)
	set := r.named("set users", 1)[0]
	assert.Equal(t, request.SpanContext().SpanID(), set.Parent.SpanID())
	load := r.named("load users", 1)[0]
	assert.True(t, set.StartTime.After(load.StartTime), "it is stored after it was loaded")
	before := len(r.spans.GetSpans())
	r.read(ctx, "secret", nil)
	assert.Len(t, r.spans.GetSpans(), before, "spans of a hit")
	_, err := readthrough.Refresh(ctx, r.scope, "secret", func(context.Context) (int, error) { return 2, nil })
	require.NoError(t, err)
	r.named("set users", 2)
	r.wantNoSecrets()
}

// TestSpansOfReadsThatJoin: each has the time of its wait, and a link to the load, which another read began.
func TestSpansOfReadsThatJoin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, leader := r.tracer.Start(t.Context(), "leader")
	gate, loading := make(chan struct{}), make(chan struct{})
	load := func(context.Context) (int, error) {
		close(loading)
		<-gate
		return 1, nil
	}
	read := func(ctx context.Context) <-chan error {
		ended := make(chan error, 1)
		go func() {
			_, err := readthrough.Wrap(ctx, r.scope, "secret", load)
			ended <- err
		}()
		return ended
	}
	ends := []<-chan error{read(first)}
	<-loading
	joiners := make(map[string]bool) // by the id of their spans
	for range 2 {
		ctx, joiner := r.tracer.Start(t.Context(), "joiner")
		joiners[joiner.SpanContext().SpanID().String()] = true
		ends = append(ends, read(ctx))
	}
	left, cancel := context.WithCancel(t.Context())
	gone := read(left)
	require.Eventually(t, func() bool { return r.scope.Stats().Joined == 3 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	close(gate)
	for _, end := range ends {
		require.NoError(t, <-end)
	}
	work := r.named("load users", 1)[0]
	assert.Equal(t, leader.SpanContext().SpanID(), work.Parent.SpanID())
	waits := r.named("wait users", 2)
	require.Len(t, waits, 2, "who has left has no span, and who began the load waits for himself")
	for _, wait := range waits {
		assert.True(t, joiners[wait.Parent.SpanID().String()])
		delete(joiners, wait.Parent.SpanID().String())
		require.Len(t, wait.Links, 1)
		assert.Equal(t, work.SpanContext.SpanID(), wait.Links[0].SpanContext.SpanID())
		assert.Equal(t, work.SpanContext.TraceID(), wait.Links[0].SpanContext.TraceID())
		assert.NotEqual(t, work.SpanContext.TraceID(), wait.SpanContext.TraceID())
		assert.Positive(t, wait.EndTime.Sub(wait.StartTime))
	}
	r.wantNoSecrets()
}

// TestSamples are counted, and the age of what is stale is told.
func TestSamples(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	telemetry, err := otelcache.New(otelcache.Options{})
	require.NoError(t, err)
	telemetry.Observer().SampledStale(t.Context(), readthrough.Event{Scope: "s", Count: 1, Duration: time.Minute}) // with the global provider: nothing breaks
	r.read(t.Context(), "k", nil)
	assert.EqualValues(t, 0, value(t, r.collect()["readthrough.samples"], "readthrough.scope=users"))
	var names []string
	for name := range r.collect() {
		names = append(names, name)
	}
	assert.NotContains(t, names, "readthrough.sample.stale_age", "nothing was stale")
}
