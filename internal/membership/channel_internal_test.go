package membership

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStampsOfAnotherEpoch: a new record counts its renewals anew. A stamp that was known in the old one says
// nothing about when the member was renewed, and takes nobody out of the record.
func TestStampsOfAnotherEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = time.Second
		roll := Roll{Epoch: "a", Seq: 1, Age: time.Hour, Members: []Member{{ID: "m", Stamp: 5, Lease: lease}}}
		var removed []string
		c := NewChannel(t.Context(), Server{
			Roll:   func(context.Context) (Roll, error) { return roll, nil },
			Remove: func(_ context.Context, _, epoch string, _ int64) error { removed = append(removed, epoch); return nil },
		}, lease, true)
		defer func() { assert.NoError(t, c.Close()) }()
		for _, epoch := range []string{"a", "b"} {
			roll.Epoch = epoch
			began := time.Now()
			require.NoError(t, c.Await(t.Context(), roll, began))
			assert.Equal(t, lease, time.Since(began), "the wait in epoch %s", epoch)
		}
		assert.Equal(t, []string{"a", "b"}, removed, "the epochs whose member is taken out")
	})
}

// TestCloseEndsTheLook: no goroutine of the channel outlives it for long.
func TestCloseEndsTheLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewChannel(t.Context(), Server{Roll: func(ctx context.Context) (Roll, error) {
			<-ctx.Done()
			return Roll{}, ctx.Err()
		}}, time.Hour, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		roll := Roll{Epoch: "a", Seq: 1, Age: 2 * time.Hour, Members: []Member{{ID: "m", Stamp: 1, Lease: time.Hour}}}
		require.Error(t, c.Await(ctx, roll, time.Now()))
		began := time.Now()
		require.NoError(t, c.Close())
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		assert.Nil(t, c.look, "the look goes on")
		assert.Zero(t, time.Since(began))
	})
}
