// Package deployments runs caches on what a service may have for a server: Sentinel, a
// cluster, a server far away, replicas. It disturbs each as its operators and its faults do,
// and checks every read by versions. It has tests only.
package deployments
