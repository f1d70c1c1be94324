package providertest

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/readthrough/readthrough/provider"
)

const afterClose = "After Close, calls return an error that matches ErrClosed, find nothing and do not panic. A Delete that returned nil would be an invalidation that the cache takes for done."

func closeCases() []capabilityCase[io.Closer] {
	return []capabilityCase[io.Closer]{
		{
			"twice",
			because("Close may be called again: it does not panic, and an error matches ErrClosed. A cache closes its store, and so does whoever made the store."),
			func(s *session, c io.Closer) {
				s.set(k("key"), "value", time.Hour)
				s.close(c)
				for range 2 {
					if err := c.Close(); err != nil && !errors.Is(err, provider.ErrClosed) {
						s.errorf("Close again: error %v, want nil or one that matches ErrClosed", err)
					}
				}
			},
		},
		{
			"get-after",
			because(afterClose),
			func(s *session, c io.Closer) {
				s.set(k("key"), "value", time.Hour)
				s.close(c)
				for _, name := range []string{"key", "missing"} {
					_, found, err := s.store.Get(s.ctx(), k(name))
					if found {
						s.errorf("Get after Close found an entry")
					}
					s.wantClosed("Get", err)
				}
			},
		},
		{
			"set-after",
			because(afterClose),
			func(s *session, c io.Closer) {
				s.close(c)
				s.wantClosed("Set", s.store.Set(s.ctx(), k("key"), provider.Entry{Value: "value"}, time.Hour))
			},
		},
		{
			"delete-after",
			because(afterClose),
			func(s *session, c io.Closer) {
				s.set(k("key"), "value", time.Hour)
				s.close(c)
				s.wantClosed("Delete", s.store.Delete(s.ctx(), k("key")))
			},
		},
		{
			"delete-prefix-after",
			because(afterClose),
			func(s *session, c io.Closer) {
				s.set(k("key"), "value", time.Hour)
				s.close(c)
				n, err := s.store.DeletePrefix(s.ctx(), "scope", "")
				if n != 0 {
					s.errorf("DeletePrefix after Close removed %d entries", n)
				}
				s.wantClosed("DeletePrefix", err)
			},
		},
		{"batch-after", because(afterClose), checkBatchAfterClose},
		{"inspect-after", because(afterClose), checkInspectAfterClose},
		{
			"while-used",
			because("Close may be called while other calls run: they end, with their answer or with an error that matches ErrClosed, and nothing panics or hangs. Services stop while requests are under way."),
			checkCloseWhileUsed,
		},
	}
}

// close closes the store. An error ends the case.
func (s *session) close(c io.Closer) {
	s.t.Helper()
	if err := c.Close(); err != nil {
		s.fatalf("Close: unexpected error: %v", err)
	}
}

// wantClosed checks the error of a call after Close.
func (s *session) wantClosed(call string, err error) {
	s.t.Helper()
	if !errors.Is(err, provider.ErrClosed) {
		s.errorf("%s after Close: error %v, want one that matches ErrClosed", call, err)
	}
}

func checkBatchAfterClose(s *session, c io.Closer) {
	b, ok := s.store.(provider.Batcher)
	if !ok {
		s.skipf("the store has no provider.Batcher: this case does not apply to it")
	}
	s.set(k("key"), "value", time.Hour)
	s.close(c)
	results, err := b.GetMany(s.ctx(), []provider.Key{k("key"), k("missing")})
	if len(results) != 2 {
		s.errorf("GetMany of 2 keys after Close returned %d results", len(results))
	}
	for _, result := range results {
		if result.Found {
			s.errorf("GetMany after Close found an entry")
		}
		s.wantClosed("GetMany", errors.Join(err, result.Err))
	}
	s.wantClosed("SetMany", b.SetMany(s.ctx(), []provider.Item{item(k("key"), "value")}))
}

func checkInspectAfterClose(s *session, c io.Closer) {
	i, ok := s.store.(provider.Inspector)
	if !ok {
		s.skipf("the store has no provider.Inspector: this case does not apply to it")
	}
	s.set(k("key"), "value", time.Hour)
	s.close(c)
	found, err := i.Has(s.ctx(), k("key"))
	if found {
		s.errorf("Has after Close found an entry")
	}
	s.wantClosed("Has", err)
	_, err = i.Stats(s.ctx())
	s.wantClosed("Stats", err)
	page, err := i.List(s.ctx(), provider.ListOptions{})
	if len(page.Entries) != 0 {
		s.errorf("List after Close returned %d entries", len(page.Entries))
	}
	s.wantClosed("List", err)
}

func checkCloseWhileUsed(s *session, c io.Closer) {
	s.each(8, func(i int) {
		key := k(fmt.Sprint("key ", i))
		for n := range rounds {
			if i == 0 && n == rounds/2 {
				s.close(c)
			}
			s.wantNilOrClosed("Set", s.store.Set(s.ctx(), key, provider.Entry{Value: n}, time.Hour))
			s.breathe()
			_, _, err := s.store.Get(s.ctx(), key)
			s.wantNilOrClosed("Get", err)
			s.wantNilOrClosed("Delete", s.store.Delete(s.ctx(), key))
			_, err = s.store.DeletePrefix(s.ctx(), "scope", key.Name)
			s.wantNilOrClosed("DeletePrefix", err)
		}
	})
	_, _, err := s.store.Get(s.ctx(), k("key 0"))
	s.wantClosed("Get", err)
}

// wantNilOrClosed checks the error of a call that runs while the store is being
// closed.
func (s *session) wantNilOrClosed(call string, err error) {
	s.t.Helper()
	if err != nil && !errors.Is(err, provider.ErrClosed) {
		s.fatalf("%s while the store is closed: error %v, want nil or one that matches ErrClosed", call, err)
	}
}
