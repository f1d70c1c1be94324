package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// A Cluster is a Redis cluster of three masters, with as many replicas as its options
// say.
type Cluster struct {
	// Nodes are the masters. Node i has the i-th third of the slots.
	Nodes []*Server
	// Replicas are the replicas of each of Nodes.
	Replicas [clusterMasters][]*Server
}

// StartCluster starts a cluster, and waits until all nodes agree that it is
// complete, and until all replicas have the data of their masters.
func StartCluster(tb testing.TB, options Options) *Cluster {
	tb.Helper()
	Require(tb)
	c := &Cluster{}
	for i := range clusterMasters {
		node := startNode(tb, options)
		node.Do(addSlots(i)...)
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		c.Nodes = append(c.Nodes, node)
	}
	for i := range clusterMasters {
		for range options.Replicas {
			c.Replicas[i] = append(c.Replicas[i], startNode(tb, options))
		}
	}
	all := c.all()
	for _, node := range all {
		for _, other := range all {
			if other != node {
				node.Do("CLUSTER", "MEET", loopback, strconv.Itoa(other.Port()))
			}
		}
	}
	c.replicate()
	c.WaitComplete()
	return c
}

// startNode starts a node that knows no other.
func startNode(tb testing.TB, options Options) *Server {
	tb.Helper()
	return startOn(tb, freeNodePort, func(s *Server) []string {
		return slices.Concat(serverArgs(s), []string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000",
		}, options.Args)
	})
}

// all returns the masters and the replicas.
func (c *Cluster) all() []*Server {
	return slices.Concat(append([][]*Server{c.Nodes}, c.Replicas[:]...)...)
}

// replicate makes replicas of the nodes that are to be, as soon as they know their
// masters.
func (c *Cluster) replicate() {
	for i, master := range c.Nodes {
		id := fmt.Sprint(master.Do("CLUSTER", "MYID"))
		for _, replica := range c.Replicas[i] {
			waitFor(replica.tb, "a node to become a replica", func() bool {
				_, err := replica.do(doTimeout, "CLUSTER", "REPLICATE", id)
				return err == nil
			})
		}
		for _, replica := range c.Replicas[i] {
			replica.waitSynchronized()
		}
	}
}

// WaitComplete waits until all nodes agree that the cluster is complete, for
// example after a node was restarted.
func (c *Cluster) WaitComplete() {
	tb := c.Nodes[0].tb
	tb.Helper()
	for _, node := range c.all() {
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
