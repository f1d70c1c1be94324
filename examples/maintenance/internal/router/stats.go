package router

import (
	"context"
	"net/http"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/cache"
	"github.com/readthrough/readthrough/examples/internal/signals"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// probeTimeout bounds how long /healthz and /stats wait for the database and
// the store.
const probeTimeout = 2 * time.Second

type statsBody struct {
	// Database counts the requests that reached the database.
	Database database.Usage `json:"database"`
	Scope    scopeBody      `json:"scope"`
	Reads    readsBody      `json:"reads"`
	// Provider is missing if there is no description of it.
	Provider *ProviderState `json:"provider,omitempty"`
	// Store is missing if the store has no statistics, or does not answer.
	Store *storeBody `json:"store,omitempty"`
	// Near is missing if there is no memory in front of the store.
	Near    *nearBody     `json:"near,omitempty"`
	Signals signals.Stats `json:"signals"`
	// At is the time of the statistics, in milliseconds.
	At int64 `json:"at_ms"`
}

// readsBody says how long reads took since the start, with and without the
// database. Without a cache, each would be a query.
type readsBody struct {
	Count int64 `json:"count"`
	// Buckets are like load_times, with finer bounds.
	Buckets []bucketBody `json:"latencies"`
}

// scopeBody are the statistics of the cached scope.
type scopeBody struct {
	Hits           int64        `json:"hits"`
	Misses         int64        `json:"misses"`
	Joined         int64        `json:"joined"`
	Loads          int64        `json:"loads"`
	LoadErrors     int64        `json:"load_errors"`
	LoadMillis     float64      `json:"load_ms_mean"`
	LoadTimes      []bucketBody `json:"load_times"`
	RefusedFills   int64        `json:"refused_fills"`
	Invalidations  int64        `json:"invalidations"`
	Pending        int          `json:"pending"`
	ProviderErrors int64        `json:"provider_errors"`
	InFlight       int          `json:"in_flight"`
}

// bucketBody counts the loads that took at most UpTo milliseconds, and longer
// than the bucket before. Empty buckets are left out.
type bucketBody struct {
	UpTo  float64 `json:"up_to_ms"`
	Count int64   `json:"count"`
}

// storeBody are the statistics of the store; a number that it cannot tell is
// null.
type storeBody struct {
	Entries     *int64 `json:"entries"`
	Weight      *int64 `json:"weight"`
	MaxEntries  *int64 `json:"max_entries"`
	MaxWeight   *int64 `json:"max_weight"`
	Hits        *int64 `json:"hits"`
	Misses      *int64 `json:"misses"`
	Evictions   *int64 `json:"evictions"`
	Expirations *int64 `json:"expirations"`
}

func (rt *router) stats(r *http.Request) (reply, error) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	body := statsBody{
		Database: rt.Usage(),
		Scope:    newScopeBody(rt.Maintenances.Stats()),
		Reads:    newReadsBody(rt.Maintenances.Reads()),
		Signals:  rt.Signals.Stats(),
		At:       time.Now().UnixMilli(),
	}
	if rt.Provider != nil {
		body.Provider = new(rt.Provider(ctx))
	}
	if rt.Near != nil {
		body.Near = newNearBody(rt.Near())
	}
	if rt.StoreStats != nil {
		if stats, err := rt.StoreStats(ctx); err == nil {
			body.Store = newStoreBody(stats)
		}
	}
	return reply{body: body}, nil
}

// nearBody are the statistics of the memory in front of the store.
type nearBody struct {
	// Answers says that the memory may answer: this process hears of every invalidation.
	Answers bool `json:"answers"`
	// Entries is how many entries it can answer with now: none, if it may not answer.
	Entries int64 `json:"entries"`
	Hits    int64 `json:"hits"`
	FarHits int64 `json:"far_hits"`
	// Dropped counts entries that an invalidation dropped. Lost counts those that were dropped because
	// this process may have missed an invalidation.
	Dropped int64 `json:"dropped"`
	Lost    int64 `json:"lost"`
	// Messages counts what other processes have told this one.
	Messages int64 `json:"messages"`
	// Waits counts the invalidations of this process that waited for other processes, and WaitedMillis is
	// how long all of them took.
	Waits        int64   `json:"waits"`
	WaitedMillis float64 `json:"waited_ms"`
}

func newNearBody(s near.Stats) *nearBody {
	body := &nearBody{
		Answers: s.Membership.Valid, Hits: s.NearHits, FarHits: s.FarHits, Dropped: s.Dropped, Lost: s.Lost,
		Messages: s.Membership.Messages, Waits: s.Membership.Waits, WaitedMillis: milliseconds(s.Membership.Waited),
	}
	if body.Answers {
		body.Entries = s.Entries
	}
	return body
}

func newScopeBody(s readthrough.Stats) scopeBody {
	body := scopeBody{
		Hits: s.Hits, Misses: s.Misses, Joined: s.Joined, Loads: s.Loads, LoadErrors: s.LoadErrors,
		LoadTimes: []bucketBody{}, RefusedFills: s.RefusedFills, Invalidations: s.Invalidations,
		Pending: s.Pending, ProviderErrors: s.ProviderErrors, InFlight: s.InFlight,
	}
	if s.LoadTime.Count > 0 {
		body.LoadMillis = milliseconds(s.LoadTime.Sum) / float64(s.LoadTime.Count)
	}
	for _, bucket := range s.LoadTime.Buckets {
		if bucket.Count > 0 {
			body.LoadTimes = append(body.LoadTimes, bucketBody{milliseconds(bucket.UpTo), bucket.Count})
		}
	}
	return body
}

func newReadsBody(l cache.Latencies) readsBody {
	body := readsBody{Count: l.Count, Buckets: []bucketBody{}}
	for _, bucket := range l.Buckets {
		body.Buckets = append(body.Buckets, bucketBody{milliseconds(bucket.UpTo), bucket.Count})
	}
	return body
}

func newStoreBody(s provider.Stats) *storeBody {
	known := func(n int64) *int64 {
		if n == provider.Unknown {
			return nil
		}
		return &n
	}
	return &storeBody{
		Entries: known(s.Entries), Weight: known(s.Weight), MaxEntries: known(s.MaxEntries),
		MaxWeight: known(s.MaxWeight), Hits: known(s.Hits), Misses: known(s.Misses),
		Evictions: known(s.Evictions), Expirations: known(s.Expirations),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// health reports whether the service works. It needs the database. It does not
// need the store: without the store, reads are slower.
func (rt *router) health(r *http.Request) (reply, error) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	if err := rt.Ping(ctx); err != nil {
		return reply{}, &requestError{http.StatusServiceUnavailable, "", "the database does not answer"}
	}
	return reply{body: struct {
		Status string `json:"status"`
	}{"ok"}}, nil
}
