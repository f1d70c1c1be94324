package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// While a slot of a cluster moves, its keys are on two nodes, and neither node
// sees the keys of the other. Commands on single keys are safe: a node without
// the key redirects the client. But a script that runs on the new node, because
// its first key is there, would treat keys on the old node as missing: it would
// drop them from the index, and they would survive the next prefix delete.
// Therefore:
//
//   - Every script that looks at keys besides those it is given also names a key
//     that never exists. A node runs a script on a moving slot only if it has all
//     named keys, so it never runs such a script. Until the slot has moved, its
//     misses are loaded and not stored.
//   - DeletePrefix then reads names from the index, which lists the keys on both
//     nodes, and removes the keys one by one.
//   - A scan may miss keys that move while it runs. It counts only if no slot of
//     the scope moved.

// errSlotMoving is the error of a scan that may have missed keys.
var errSlotMoving = errors.New("a slot of the scope is moving to another node")

// scriptKeys returns the keys to name in a script that also looks at other keys.
func (p *Provider) scriptKeys(b bucket, keys ...string) []string {
	if p.cluster == nil {
		return keys
	}
	return append(keys, b.nothing())
}

// deleteMoving removes the keys that the index of a bucket lists under the
// prefix, one by one.
func (p *Provider) deleteMoving(ctx context.Context, b bucket, prefix string) (removed int, err error) {
	least, beyond := lexRange(prefix)
	for {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		answer := p.run(ctx, 1, func(int) call {
			return call{script: p.scripts.list, keys: []string{b.index()}, args: []any{least, beyond, prefixChunk}}
		})[0]
		found, err := answer.Result()
		if err != nil {
			return removed, err
		}
		members, ok := found.([]any)
		if !ok {
			return removed, errIncomplete
		}
		keys := make([]string, len(members))
		for i, member := range members {
			text, ok := member.(string)
			if !ok {
				return removed, errAnswer
			}
			keys[i] = b.value(strings.TrimPrefix(text, "n"))
			least = "(" + text
		}
		n, err := removeEach(keys, func(n int, next func(i int) call) []once { return p.runConfirmed(ctx, n, next) })
		if removed += n; err != nil || len(members) < prefixChunk {
			return removed, err
		}
	}
}

// steady runs do. It returns an error if a slot of the scope moved meanwhile.
func (p *Provider) steady(ctx context.Context, scope string, do func() error) error {
	if p.cluster == nil {
		return do()
	}
	before, err := p.slotMap(ctx, scope)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	after, err := p.slotMap(ctx, scope)
	if err == nil && before != after {
		return errSlotMoving
	}
	return err
}

// slotMap returns a text with the slots and the configuration epoch of every
// master. It returns errSlotMoving if a slot of the scope is moving.
func (p *Provider) slotMap(ctx context.Context, scope string) (string, error) {
	ours := make(map[string]bool)
	for _, b := range p.bucketsOf(scope) {
		ours[strconv.Itoa(slotOf(b))] = true
	}
	var mu sync.Mutex // guards masters
	var masters []string
	err := p.onMasters(ctx, func(ctx context.Context, master server) error {
		nodes, err := master.ClusterNodes(ctx).Result()
		if err != nil {
			return err
		}
		own, moving, err := readOwnSlots(nodes)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(moving, func(slot string) bool { return ours[slot] }) {
			return errSlotMoving
		}
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, own)
		return nil
	})
	slices.Sort(masters)
	return strings.Join(masters, "\n"), err
}

// readOwnSlots parses the answer of a node to CLUSTER NODES. own has the node's
// identity, epoch and slots; moving has the slots that it imports or migrates.
func readOwnSlots(nodes string) (own string, moving []string, err error) {
	const flags, epoch, slots = 2, 6, 8 // fields of a line
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line)
		if len(fields) < slots || !strings.Contains(fields[flags], "myself") {
			continue
		}
		var has []string
		for _, field := range fields[slots:] {
			if open, ok := strings.CutPrefix(field, "["); ok { // [slot->-node] or [slot-<-node]
				slot, _, _ := strings.Cut(open, "-")
				moving = append(moving, slot)
			} else {
				has = append(has, field)
			}
		}
		return strings.Join(append([]string{fields[0], fields[epoch]}, has...), " "), moving, nil
	}
	return "", nil, fmt.Errorf("a node of the cluster does not know itself: %.200q", nodes)
}

// clusterSlots is the number of slots of a cluster.
const clusterSlots = 16384

// slotOf returns the slot of a bucket: the CRC16 of its hash tag, modulo 16384.
func slotOf(b bucket) int {
	const polynomial, top = 0x1021, 0x8000
	_, tag, _ := strings.Cut(string(b), "{")
	tag, _, _ = strings.Cut(tag, "}")
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&top != 0 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % clusterSlots
}
