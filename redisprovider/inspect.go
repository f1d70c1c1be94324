package redisprovider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// mostListed bounds a page of a listing: one script looks at as many keys in each bucket.
const mostListed = 1000

// Has implements [provider.Inspector] with the round trip of a [Provider.Get], whose answer it
// drops.
func (p *Provider) Has(ctx context.Context, key provider.Key) (bool, error) {
	if err := p.usable(ctx); err != nil {
		return false, err
	}
	result := p.fetchOne(ctx, p.keyOf(key))
	return result.Found, result.Err
}

// Stats implements [provider.Inspector] with one INFO; on a cluster, with one for each master, whose
// numbers are added. Weight is the memory that the servers use, MaxWeight is how much they may use,
// and Evictions and Expirations are what they have removed since they were started: all of it
// together with what other programs keep there. Entries, Hits and Misses are [provider.Unknown].
// Without the permission for INFO, it returns the error of the server.
func (p *Provider) Stats(ctx context.Context) (provider.Stats, error) {
	if err := p.usable(ctx); err != nil {
		return provider.Stats{}, err
	}
	unknown := provider.Unknown
	total := provider.Stats{Entries: unknown, MaxEntries: unknown, Hits: unknown, Misses: unknown}
	numbers := []struct {
		name string
		sum  *int64
	}{
		{"used_memory", &total.Weight},
		{"maxmemory", &total.MaxWeight},
		{"evicted_keys", &total.Evictions},
		{"expired_keys", &total.Expirations},
	}
	answers, err := p.infos(ctx)
	if err != nil {
		return provider.Stats{}, fmt.Errorf("redisprovider: stats: %w", told(err))
	}
	for _, info := range answers {
		for _, n := range numbers {
			if value, ok := infoNumber(info, n.name); ok && *n.sum != unknown {
				*n.sum += value
			} else {
				*n.sum = unknown
			}
		}
	}
	return total, nil
}

// infos returns the INFO of each master.
func (p *Provider) infos(ctx context.Context) (answers []string, err error) {
	var mu sync.Mutex // guards answers
	err = p.onMasters(ctx, func(ctx context.Context, master server) error {
		info, err := master.Info(ctx).Result() // all of it: servers before Redis 7 take one section at most
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, info)
		return err
	})
	return answers, err
}

// infoNumber returns a number of an INFO.
func infoNumber(info, name string) (value int64, ok bool) {
	text, ok := infoText(info, name)
	if !ok {
		return 0, false
	}
	value, err := strconv.ParseInt(text, 10, 64)
	return value, err == nil
}

// List implements [provider.Inspector] with one script, which looks at as many members of the index
// as the page may have entries; on a cluster, with one for each bucket. So a page costs what it
// shows, and never what the server holds. It lists one scope, sorted by name, page by page: for
// no scope, another Sort or an Offset, the error matches [errors.ErrUnsupported].
//
// A page has at most 1,000 entries, and may have fewer than Limit although there are more: leases and
// what has ended are looked at, too. Total is -1. Partial says that the index was never complete, or
// was lost: then only what was stored since is listed, until the next DeletePrefix in the scope.
// StoredAt is the LoadedAt of the entry, by the clock of the process that loaded it. Weight is the
// size of the frame in bytes.
func (p *Provider) List(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	if err := p.usable(ctx); err != nil {
		return provider.Page{}, err
	}
	if err := checkListing(&options); err != nil {
		return provider.Page{}, err
	}
	least, beyond := lexRange(options.Prefix)
	if options.Cursor != "" {
		least = "(" + max(options.Cursor, least[1:])
	}
	buckets := p.bucketsOf(options.Scope)
	answers := p.run(ctx, len(buckets), func(i int) call {
		return call{
			script: p.scripts.page,
			keys:   p.scriptKeys(buckets[i], buckets[i].index()),
			args:   []any{buckets[i].value(""), least, beyond, options.Limit},
		}
	})
	page := provider.Page{Total: int(provider.Unknown)}
	var entries []provider.Info
	end := "" // the first name up to which some bucket has looked; "": all have looked to their end
	for i, answer := range answers {
		part, err := p.readPage(options.Scope, answer)
		if err != nil {
			return provider.Page{}, failed("list", buckets[i].value(options.Prefix), err)
		}
		page.Partial = page.Partial || !part.complete
		entries = append(entries, part.entries...)
		if part.last != "" && (end == "" || part.last < end) {
			end = part.last
		}
	}
	page.Entries, page.Next = cutPage(entries, options.Limit, end)
	return page, nil
}

// checkListing returns an error for options that are bad, or that would cost as much as the server
// holds.
func checkListing(o *provider.ListOptions) error {
	switch {
	case o.Offset < 0:
		return fmt.Errorf("redisprovider: ListOptions.Offset %d: must not be negative", o.Offset)
	case o.Limit < 0:
		return fmt.Errorf("redisprovider: ListOptions.Limit %d: must not be negative", o.Limit)
	case o.Cursor != "" && (o.Cursor[0] != 'n' || o.Offset != 0):
		return fmt.Errorf("redisprovider: ListOptions.Cursor %q: must be the Next of a page, and Offset zero", o.Cursor)
	case o.Scope == "":
		return fmt.Errorf("redisprovider: ListOptions.Scope: must name a scope, the store lists one at a time: %w", errors.ErrUnsupported)
	case o.Sort != provider.SortName:
		return fmt.Errorf("redisprovider: ListOptions.Sort %d: must be SortName, another order would look at all entries: %w", o.Sort, errors.ErrUnsupported)
	case o.Offset != 0:
		return fmt.Errorf("redisprovider: ListOptions.Offset %d: must be zero, use Cursor: %w", o.Offset, errors.ErrUnsupported)
	}
	o.Limit = min(cmp.Or(o.Limit, provider.DefaultPageSize), mostListed)
	return nil
}

// cutPage sorts what all buckets have listed, and cuts a page from it: at most limit entries, and
// none behind end, since a bucket has not been looked at from there on. Members of an index are the
// names behind an 'n', which keeps their order.
func cutPage(entries []provider.Info, limit int, end string) (page []provider.Info, next string) {
	slices.SortFunc(entries, func(a, b provider.Info) int { return strings.Compare(a.Key.Name, b.Key.Name) })
	if end != "" {
		entries = slices.DeleteFunc(entries, func(e provider.Info) bool { return "n"+e.Key.Name > end })
	}
	if len(entries) > limit {
		entries = entries[:limit]
		end = "n" + entries[limit-1].Key.Name
	}
	return entries, end
}

// listed is the answer of page.lua.
type listed struct {
	entries  []provider.Info
	last     string // the last member that was looked at; "": there are no more
	complete bool
}

// readPage interprets the answer of page.lua.
func (p *Provider) readPage(scope string, answer once) (l listed, err error) {
	values, err := answer.Slice()
	const head, each = 2, 4
	if err == nil && (len(values) < head || len(values)%each != head) {
		err = errAnswer
	}
	if err != nil {
		return listed{}, err
	}
	complete, ok1 := values[0].(int64)
	last, ok2 := values[1].(string)
	if !ok1 || !ok2 {
		return listed{}, errAnswer
	}
	l = listed{last: last, complete: complete == 1}
	now := time.Now()
	for v := range slices.Chunk(values[head:], each) {
		name, ok1 := v[0].(string)
		frame, ok2 := v[1].(string)
		size, ok3 := v[2].(int64)
		left, ok4 := v[3].(int64)
		if !ok1 || !ok2 || !ok3 || !ok4 {
			return listed{}, errAnswer
		}
		info := provider.Info{Key: provider.Key{Scope: scope, Name: name}, Weight: size}
		info.Absent, info.StoredAt = headOfFrame(frame)
		if left >= 0 {
			info.ExpiresAt = now.Add(time.Duration(left) * time.Millisecond)
		}
		l.entries = append(l.entries, info)
	}
	return l, nil
}

// headOfFrame returns what the first bytes of an entry's frame say. The time is zero if they do not
// say it.
func headOfFrame(data string) (absent bool, loadedAt time.Time) {
	flags := data[frameHead-1]
	r := frameReader{rest: []byte(data[frameHead:])}
	if flags&flagBound != 0 {
		r.bytes(runBytes)
	}
	if flags&flagLeased != 0 {
		r.bytes(tokenBytes + endBytes)
	}
	r.time() // fresh until
	return kind(data[frameHead-2]) == kindAbsent, r.time()
}
