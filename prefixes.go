package readthrough

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// prefixes are those of the families and lists of a scope. It grows with every prefix that was ever
// used: a program has some, in its text.
type prefixes struct {
	mu   sync.Mutex // guards following
	used []usedPrefix
}

// usedPrefix is a prefix, and what uses it: the type of its ids and values.
type usedPrefix struct {
	prefix string
	by     reflect.Type
}

// add adds a prefix, and returns the copy that is kept. It returns an error that names the function that
// wants it, if one of the keys of the prefix could be one of another prefix.
func (p *prefixes) add(function, scope, prefix string, by reflect.Type) (string, error) {
	if prefix == "" {
		return "", fmt.Errorf("readthrough: %s: scope %q: prefix: must not be empty, such as %q", function, scope, "user:")
	}
	if err := checkKey("prefix", prefix); err != nil {
		return "", fmt.Errorf("readthrough: %s: scope %q: %w", function, scope, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, used := range p.used {
		switch {
		case used.prefix == prefix && used.by == by:
			return used.prefix, nil
		case used.prefix == prefix:
			return "", fmt.Errorf("readthrough: %s: scope %q: prefix %q: another family or list has it, with ids or values of another type", function, scope, clip(prefix))
		case strings.HasPrefix(used.prefix, prefix) || strings.HasPrefix(prefix, used.prefix):
			return "", fmt.Errorf("readthrough: %s: scope %q: prefix %q: the prefix %q of another family or list begins with it, or it with that: keys of both could be equal",
				function, scope, clip(prefix), clip(used.prefix))
		}
	}
	prefix = strings.Clone(prefix) // it may be a part of a large string
	p.used = append(p.used, usedPrefix{prefix, by})
	return prefix, nil
}
