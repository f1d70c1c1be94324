package membership

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestState(t *testing.T) {
	type step struct {
		beat  bool
		epoch string
		seq   int64
		want  verdict
		after state
	}
	for name, steps := range map[string][]step{
		"nothing is known before the first beat": {
			{false, "a", 7, pass, state{}},
			{true, "a", 7, dropAll, state{"a", 7}},
			{true, "a", 7, proof, state{"a", 7}},
		},
		"messages in order": {
			{true, "a", 1, dropAll, state{"a", 1}},
			{false, "a", 2, pass, state{"a", 2}},
			{false, "a", 3, pass, state{"a", 3}},
			{true, "a", 3, proof, state{"a", 3}},
		},
		"a message is lost": {
			{true, "a", 1, dropAll, state{"a", 1}},
			{false, "a", 3, dropAll, state{"a", 3}},
			{true, "a", 3, proof, state{"a", 3}},
			{true, "a", 4, dropAll, state{"a", 4}},
		},
		"twice, and late": {
			{true, "a", 1, dropAll, state{"a", 1}},
			{false, "a", 2, pass, state{"a", 2}},
			{false, "a", 2, pass, state{"a", 2}},
			{false, "a", 1, pass, state{"a", 2}},
			{true, "a", 1, pass, state{"a", 2}},
		},
		"another server": {
			{true, "a", 5, dropAll, state{"a", 5}},
			{false, "b", 6, outOfStep, state{}},
			{true, "b", 6, dropAll, state{"b", 6}},
			{true, "c", 6, dropAll, state{"c", 6}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			for i, step := range steps {
				var got verdict
				if step.beat {
					got = s.beat(step.epoch, step.seq)
				} else {
					got = s.message(step.epoch, step.seq)
				}
				assert.Equal(t, step.want, got, "step %d", i)
				assert.Equal(t, step.after, s, "step %d", i)
			}
		})
	}
}
