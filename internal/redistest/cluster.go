package redistest

import (
	"slices"
	"strconv"
	"testing"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// A Cluster is a Redis cluster of three masters without replicas.
type Cluster struct {
	// Nodes are the masters. Node i has the i-th third of the slots.
	Nodes []*Server
}

// StartCluster starts a cluster, and waits until all nodes agree that it is
// complete.
func StartCluster(tb testing.TB, options Options) *Cluster {
	tb.Helper()
	Require(tb)
	c := &Cluster{}
	busPorts := make([]string, clusterMasters)
	for i := range clusterMasters {
		busPorts[i] = strconv.Itoa(freePort(tb))
		c.Nodes = append(c.Nodes, startServer(tb, slices.Concat([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-port", busPorts[i], "--cluster-node-timeout", "2000",
		}, options.Args)))
	}
	for i, node := range c.Nodes {
		node.Do(addSlots(i)...)
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for _, node := range c.Nodes {
		for j, other := range c.Nodes {
			if other != node {
				node.Do("CLUSTER", "MEET", loopback, strconv.Itoa(other.Port()), busPorts[j])
			}
		}
	}
	c.WaitComplete()
	return c
}

// WaitComplete waits until all nodes agree that the cluster is complete, for
// example after a node was restarted.
func (c *Cluster) WaitComplete() {
	tb := c.Nodes[0].tb
	tb.Helper()
	for _, node := range c.Nodes {
		waitFor(tb, "the nodes of the cluster to agree", node.clusterComplete)
	}
}

// addSlots returns the command that assigns the i-th third of the slots to node
// i.
func addSlots(i int) []string {
	args := []string{"CLUSTER", "ADDSLOTS"}
	for slot := clusterSlots * i / clusterMasters; slot < clusterSlots*(i+1)/clusterMasters; slot++ {
		args = append(args, strconv.Itoa(slot))
	}
	return args
}

// clusterComplete reports whether the node knows the owners of all slots and
// can list them.
func (s *Server) clusterComplete() bool {
	info, err := s.do(doTimeout, "CLUSTER", "INFO")
	if err != nil || infoField(info, "cluster_state") != "ok" ||
		infoField(info, "cluster_slots_ok") != strconv.Itoa(clusterSlots) {
		return false
	}
	slots, err := s.do(doTimeout, "CLUSTER", "SLOTS")
	ranges, ok := slots.([]any)
	return err == nil && ok && len(ranges) == clusterMasters
}

// Addrs returns the addresses of the nodes.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		addrs[i] = node.Addr()
	}
	return addrs
}

// NodeOf returns the index of the node that owns the slot of key.
func (c *Cluster) NodeOf(key string) int {
	node := c.Nodes[0]
	node.tb.Helper()
	slot, ok := node.Do("CLUSTER", "KEYSLOT", key).(int64)
	if !ok {
		node.tb.Fatal("redistest: CLUSTER KEYSLOT: no number")
	}
	for i := range c.Nodes {
		if slot < int64(clusterSlots*(i+1)/clusterMasters) {
			return i
		}
	}
	return len(c.Nodes) - 1
}
