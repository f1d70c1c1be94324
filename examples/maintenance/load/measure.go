package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// requestTimeout bounds each request.
const requestTimeout = 10 * time.Second

// result is what one round measured at one service.
type result struct {
	what              string  // the store and the database of the service
	requests, queries float64 // per second
	p50, p99          time.Duration
	failed            int
}

// target is a service to read.
type target struct {
	base         string
	client       *http.Client
	maintenances []maintenance
}

type maintenance struct {
	ID        int64    `json:"id"`
	Status    string   `json:"status"`
	SystemIDs []string `json:"system_ids"`
}

type stats struct {
	Database struct {
		Queries int64 `json:"queries"`
	} `json:"database"`
	Provider struct {
		Kind     string `json:"kind"`
		Database string `json:"database"`
	} `json:"provider"`
}

// String returns the store and the database of the service.
func (s stats) String() string {
	cache := map[string]string{"memory": "cache in memory", "redis": "cache in Redis", "none": "no cache"}[s.Provider.Kind]
	return cache + ", " + s.Provider.Database
}

// measure reads a service for one round.
func measure(ctx context.Context, c config, service string) (result, error) {
	t := &target{base: service, client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		MaxIdleConnsPerHost: c.clients + 1,
	}}}
	defer t.client.CloseIdleConnections()
	var list struct {
		Maintenances []maintenance `json:"maintenances"`
	}
	if err := t.get(ctx, "/maintenances", &list); err != nil {
		return result{}, err
	}
	if t.maintenances = list.Maintenances; len(t.maintenances) == 0 {
		return result{}, errors.New("there are no maintenances to read")
	}
	var before, after stats
	if err := t.get(ctx, "/stats", &before); err != nil {
		return result{}, err
	}
	began := time.Now()
	took, failed := t.readAll(ctx, c)
	seconds := time.Since(began).Seconds()
	if err := errors.Join(ctx.Err(), t.get(ctx, "/stats", &after)); err != nil {
		return result{}, err
	}
	if len(took) == 0 {
		return result{}, errors.New("no request was answered")
	}
	slices.Sort(took)
	return result{
		what:     before.String(),
		requests: float64(len(took)) / seconds,
		queries:  float64(after.Database.Queries-before.Database.Queries) / seconds,
		p50:      took[(len(took)-1)*50/100],
		p99:      took[(len(took)-1)*99/100],
		failed:   failed,
	}, nil
}

// readAll runs all clients, and the changes, until the round is over. It returns
// the durations of the answered reads, and the number of failed requests.
func (t *target) readAll(ctx context.Context, c config) (took []time.Duration, failed int) {
	over := time.Now().Add(c.duration)
	each := make([][]time.Duration, c.clients)
	failures := make([]int, c.clients+1)
	var all sync.WaitGroup
	for i := range c.clients {
		all.Go(func() {
			for n := i; ctx.Err() == nil && time.Now().Before(over); n++ {
				began := time.Now()
				if err := t.get(ctx, t.something(n), nil); err != nil {
					failures[i]++
					continue
				}
				each[i] = append(each[i], time.Since(began))
			}
		})
	}
	all.Go(func() { failures[c.clients] = t.change(ctx, c, over) })
	all.Wait()
	for _, n := range failures {
		failed += n
	}
	return slices.Concat(each...), failed
}

// something returns the path of a read: half of the reads are of one maintenance, a
// quarter of one system, an eighth of several systems, and an eighth of a list.
func (t *target) something(n int) string {
	m := t.maintenances[n%len(t.maintenances)]
	switch n % 8 {
	case 0:
		return "/maintenances?status=" + m.Status
	case 1:
		return "/systems/maintenances?" + url.Values{"id": m.SystemIDs}.Encode()
	case 2, 3:
		return "/systems/" + url.PathEscape(m.SystemIDs[0]) + "/maintenances"
	default:
		return path(m)
	}
}

func path(m maintenance) string { return "/maintenances/" + strconv.FormatInt(m.ID, 10) }

// change changes planned maintenances, c.changes times per second, and returns how
// many changes failed.
func (t *target) change(ctx context.Context, c config, over time.Time) (failed int) {
	planned := slices.DeleteFunc(slices.Clone(t.maintenances), func(m maintenance) bool { return m.Status != "planned" })
	if c.changes == 0 || len(planned) == 0 {
		return 0
	}
	next := time.NewTicker(time.Second / time.Duration(c.changes))
	defer next.Stop()
	for n := 0; time.Now().Before(over); n++ {
		select {
		case <-next.C:
		case <-ctx.Done():
			return failed
		}
		body := fmt.Appendf(nil, `{"description": "Changed under load, %d."}`, n)
		if t.do(ctx, http.MethodPatch, path(planned[n%len(planned)]), body, nil) != nil {
			failed++
		}
	}
	return failed
}

func (t *target) get(ctx context.Context, path string, answer any) error {
	return t.do(ctx, http.MethodGet, path, nil, answer)
}

// do sends a request and decodes the answer, unless answer is nil.
func (t *target) do(ctx context.Context, method, path string, body []byte, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
