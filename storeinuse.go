package readthrough

import (
	"fmt"
	"reflect"
	"runtime"
	"sync"

	"github.com/readthrough/readthrough/provider"
)

// Two caches on one store would break G1, G2 and G6 in one process: an invalidation through one of them
// ends none of the loads of the other, whose results would be stored after it. So a store belongs to the
// cache that was made with it, until that cache is closed. A cache that is dropped without Close gives its
// store back when it is collected.
//
// A store is known by its pointer. A store that is no pointer has no identity: equal values need not be
// one store. A wrapper hides the store inside of it.

// storesInUse has the stores of the caches of this process. It is a global, because nothing else knows of
// two caches.
var storesInUse sync.Map //nolint:gochecknoglobals // see above

// hasIdentity reports whether equal values of the type of store are one store.
func hasIdentity(store provider.CacheProvider) bool {
	t := reflect.TypeOf(store)
	return t.Kind() == reflect.Pointer && t.Elem().Size() > 0 // pointers to nothing may be equal
}

// claim makes store the store of c, or returns an error if it belongs to another cache.
func (c *Cache) claim(store provider.CacheProvider) error {
	if !hasIdentity(store) {
		return nil
	}
	if _, taken := storesInUse.LoadOrStore(store, true); taken {
		return fmt.Errorf("readthrough: New: store: this %T is the store of another cache in this process, and the two would not see each "+
			"other's invalidations: use scopes of that cache, or make another store", store)
	}
	c.claimed = store
	c.dropped = runtime.AddCleanup(c, func(store provider.CacheProvider) { storesInUse.Delete(store) }, store)
	return nil
}

// giveStoreBack ends the claim of c.
func (c *Cache) giveStoreBack() {
	if c.claimed != nil {
		c.dropped.Stop()
		storesInUse.Delete(c.claimed)
	}
}
