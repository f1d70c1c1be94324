package redisprovider

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/readthrough/readthrough/provider"
)

// Advise implements [provider.Advisor]. It looks at four things, in two or three round trips:
//
//   - permissions: what the user of the client may not do and the store needs. It asks by ACL DRYRUN. If
//     the server has none (before Redis 7), or the user may not ask, it sends the commands themselves, to
//     keys of its own that it removes again. On a cluster, it asks one master.
//   - the version of the server, by INFO
//   - what the server does when its memory is full, and whether it has the replicas of
//     [Options.WaitReplicas], by INFO. It never asks CONFIG.
//   - ContextTimeoutEnabled of the client
//
// A server that forbids INFO is not looked at, and nothing is said of that.
func (p *Provider) Advise(ctx context.Context) ([]provider.Advice, error) {
	if err := p.usable(ctx); err != nil {
		return nil, err
	}
	advice, err := p.advisePermissions(ctx)
	if err != nil {
		return nil, err
	}
	add := func(some ...provider.Advice) {
		for _, a := range some {
			if !contains(advice, a) { // several masters say the same
				advice = append(advice, a)
			}
		}
	}
	infos, err := p.infos(ctx)
	if err != nil && !isAnswer(err) {
		return nil, fmt.Errorf("redisprovider: advise: %w", err)
	}
	for _, info := range infos {
		add(adviseVersion(info)...)
		add(adviseEviction(info)...)
		add(p.adviseReplicas(info)...)
	}
	if !p.connectsInTime() {
		add(provider.Advice{
			About:   "client",
			Problem: "ContextTimeoutEnabled of the client is off: a server that hangs keeps a goroutine and a connection for each request, up to ReadTimeout, and each hit takes a goroutine of its own",
			Do:      "set ContextTimeoutEnabled: true in the options of the client, or use redisprovider.Open",
		})
	}
	return advice, nil
}

func contains(advice []provider.Advice, a provider.Advice) bool {
	return slices.Contains(advice, a)
}

// ---- what INFO says

// The first version that the store works with.
const leastMajor, leastMinor = 6, 2

func adviseVersion(info string) []provider.Advice {
	version, _ := infoText(info, "redis_version")
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return nil // another kind of server
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil || major > leastMajor || major == leastMajor && minor >= leastMinor {
		return nil
	}
	return []provider.Advice{{
		About:   "version",
		Problem: fmt.Sprintf("the server is Redis %s, which lacks commands that the store needs: nothing is stored", version),
		Do:      "use Redis 6.2 or later, or Valkey",
	}}
}

// adviseEviction looks at what a server with bounded memory does when it is full. A server without a bound
// evicts nothing, whatever its policy says.
func adviseEviction(info string) []provider.Advice {
	policy, _ := infoText(info, "maxmemory_policy")
	if bound, ok := infoNumber(info, "maxmemory"); !ok || bound == 0 {
		return nil
	}
	a := provider.Advice{About: "eviction", Do: "CONFIG SET maxmemory-policy allkeys-lru, if everything on the server may be lost; volatile-lru, if not"}
	switch policy {
	case "noeviction":
		a.Problem = "maxmemory-policy is noeviction: when the memory is full, nothing is stored any more, and what is not cached yet is loaded by every read"
	case "volatile-ttl":
		a.Problem = "maxmemory-policy is volatile-ttl: it evicts leases and holds first, so that loads are not stored and holds end early"
	case "allkeys-random", "volatile-random":
		a.Problem = "maxmemory-policy is " + policy + ": it evicts holds and the index as readily as entries that nobody reads"
	default:
		return nil
	}
	return []provider.Advice{a}
}

func (p *Provider) adviseReplicas(info string) []provider.Advice {
	replicas, ok := infoNumber(info, "connected_slaves")
	if p.waitReplicas == 0 || !ok || replicas >= int64(p.waitReplicas) {
		return nil
	}
	return []provider.Advice{{
		About:   "replicas",
		Problem: fmt.Sprintf("Options.WaitReplicas is %d, and a master has %d replicas: every invalidation is pending", p.waitReplicas, replicas),
		Do:      "start the replicas, or lower WaitReplicas",
	}}
}

// infoText returns a field of an INFO.
func infoText(info, name string) (text string, ok bool) {
	for line := range strings.Lines(info) {
		if text, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(text), true
		}
	}
	return "", false
}
