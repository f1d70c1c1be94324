package near

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// Has implements [provider.Inspector]: it asks the far store.
func (s *Store) Has(ctx context.Context, key provider.Key) (bool, error) {
	if s.inspector == nil {
		return false, errNoInspector(s.far.CacheProvider)
	}
	return s.inspector.Has(ctx, key)
}

// Stats implements [provider.Inspector]: it asks the far store. NearStats has those of the memory.
func (s *Store) Stats(ctx context.Context) (provider.Stats, error) {
	if s.inspector == nil {
		return provider.Stats{}, errNoInspector(s.far.CacheProvider)
	}
	return s.inspector.Stats(ctx)
}

// List implements [provider.Inspector]: it asks the far store.
func (s *Store) List(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	if s.inspector == nil {
		return provider.Page{}, errNoInspector(s.far.CacheProvider)
	}
	return s.inspector.List(ctx, options)
}

func errNoInspector(store any) error {
	return fmt.Errorf("near: the store %T is no provider.Inspector: %w", store, errors.ErrUnsupported)
}

// Ping implements [provider.Pinger]: it asks the far store, and if that is no Pinger, for an entry that nobody has.
func (s *Store) Ping(ctx context.Context) error {
	if p, ok := s.far.CacheProvider.(provider.Pinger); ok {
		return p.Ping(ctx)
	}
	_, _, err := s.far.Get(ctx, provider.Key{Scope: "ping", Name: "ping"})
	return err
}

// Advise implements [provider.Advisor] with what the far store advises.
func (s *Store) Advise(ctx context.Context) ([]provider.Advice, error) {
	if a, ok := s.far.CacheProvider.(provider.Advisor); ok {
		return a.Advise(ctx)
	}
	return nil, nil
}
