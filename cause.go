package readthrough

import "errors"

// causes are the reasons why keys of a bulk call have failed. Many keys that failed for one reason are
// one report: a call of thousands would flood the log.
type causes []cause

// cause is a reason, and the keys that have it.
type cause struct {
	key  string // the first key
	keys int
	err  error // the error of the first key
}

// mostCauses bounds the reports of a call. What comes after counts to the last one.
const mostCauses = 16

// add adds the error of a key.
func (c *causes) add(key string, err error) {
	list := *c
	for i := range list {
		if i == mostCauses-1 || same(list[i].err, err) || root(list[i].err) == root(err) {
			list[i].keys++
			return
		}
	}
	*c = append(list, cause{key, 1, err})
}

// only returns the key if it is the only one; "" if there are more.
func (c *cause) only() string {
	if c.keys == 1 {
		return c.key
	}
	return ""
}

// root returns the text of the innermost error: those around it name the key.
func root(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
