package main

import (
	"bytes"
	"maps"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pkg/util/sets"
)

// The names of resource types on the wire, in the order in which a proxy takes them.
var types = []string{"CDS", "EDS", "LDS", "RDS", "ECDS"}

// resources is everything a proxy was told, by type and name, and what of it refers to what.
type resources struct {
	blobs map[string]map[string][]byte
	// edsNames, per cluster: the endpoints that it asks for; routes and extensions likewise, per listener.
	edsNames, routeNames, extensionNames map[string][]string
}

func newResources() resources {
	made := resources{
		blobs: map[string]map[string][]byte{}, edsNames: map[string][]string{},
		routeNames: map[string][]string{}, extensionNames: map[string][]string{},
	}
	for _, kind := range types {
		made.blobs[kind] = map[string][]byte{}
	}
	return made
}

// changes is the difference of two states of a proxy's resources.
type changes struct {
	set     map[string]map[string][]byte
	removed map[string][]string
}

func (c *changes) empty() bool { return len(c.set) == 0 && len(c.removed) == 0 }

// copy allows a new state to be made while the old one stays as it is, until the update has succeeded.
func (r *resources) copy() resources {
	made := resources{
		blobs: maps.Clone(r.blobs), edsNames: maps.Clone(r.edsNames),
		routeNames: maps.Clone(r.routeNames), extensionNames: maps.Clone(r.extensionNames),
	}
	return made
}

// put replaces resources of a type; it returns the names of those that are new or differ. With whole, what is not
// among them is gone.
func (r *resources) put(kind string, found map[string][]byte, whole bool) []string {
	old := r.blobs[kind]
	var changed []string
	for name, blob := range found {
		if before, ok := old[name]; !ok || !bytes.Equal(before, blob) {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 && (!whole || len(found) == len(old)) {
		return nil
	}
	updated := maps.Clone(old)
	if whole {
		for name := range old {
			if _, ok := found[name]; !ok {
				delete(updated, name)
			}
		}
	}
	for _, name := range changed {
		updated[name] = found[name]
	}
	r.blobs[kind] = updated
	return changed
}

// keep removes the resources of a type that nothing refers to any more, and returns the names that have none yet.
func (r *resources) keep(kind string, names sets.String) []string {
	old := r.blobs[kind]
	var missing []string
	for name := range names {
		if _, ok := old[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(names)-len(missing) == len(old) {
		return missing
	}
	updated := make(map[string][]byte, len(names))
	for name, blob := range old {
		if names.Contains(name) {
			updated[name] = blob
		}
	}
	r.blobs[kind] = updated
	return missing
}

// since lists what differs from an older state.
func (r *resources) since(old *resources) changes {
	found := changes{set: map[string]map[string][]byte{}, removed: map[string][]string{}}
	for _, kind := range types {
		before, after := old.blobs[kind], r.blobs[kind]
		for name, blob := range after {
			if was, ok := before[name]; !ok || !bytes.Equal(was, blob) {
				if found.set[kind] == nil {
					found.set[kind] = map[string][]byte{}
				}
				found.set[kind][name] = blob
			}
		}
		for name := range before {
			if _, ok := after[name]; !ok {
				found.removed[kind] = append(found.removed[kind], name)
			}
		}
	}
	return found
}

// readCluster notes which endpoints a new cluster asks for.
func (r *resources) readCluster(name string) error {
	cluster := &clusterv3.Cluster{}
	if err := proto.Unmarshal(r.blobs["CDS"][name], cluster); err != nil {
		return err
	}
	delete(r.edsNames, name)
	if cluster.GetType() == clusterv3.Cluster_EDS {
		endpoints := cluster.GetEdsClusterConfig().GetServiceName()
		if endpoints == "" {
			endpoints = name
		}
		r.edsNames[name] = []string{endpoints}
	}
	return nil
}

// readListener notes which routes and filter configurations a new listener asks for.
func (r *resources) readListener(name string) error {
	listener := &listenerv3.Listener{}
	if err := proto.Unmarshal(r.blobs["LDS"][name], listener); err != nil {
		return err
	}
	delete(r.routeNames, name)
	delete(r.extensionNames, name)
	for _, chain := range append(listener.FilterChains, listener.DefaultFilterChain) {
		for _, filter := range chain.GetFilters() {
			if filter.GetConfigDiscovery() != nil {
				r.extensionNames[name] = append(r.extensionNames[name], filter.Name)
			}
			if !filter.GetTypedConfig().MessageIs(&hcm.HttpConnectionManager{}) {
				continue
			}
			manager := &hcm.HttpConnectionManager{}
			if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
				return err
			}
			if route := manager.GetRds().GetRouteConfigName(); route != "" {
				r.routeNames[name] = append(r.routeNames[name], route)
			}
			for _, http := range manager.HttpFilters {
				if http.GetConfigDiscovery() != nil {
					r.extensionNames[name] = append(r.extensionNames[name], http.Name)
				}
			}
		}
	}
	return nil
}

// referred unites the names that the resources of a type refer to, and forgets the resources that are gone.
func referred(names map[string][]string, alive map[string][]byte) sets.String {
	all := sets.New[string]()
	for name, targets := range names {
		if _, ok := alive[name]; !ok {
			delete(names, name)
			continue
		}
		all.InsertAll(targets...)
	}
	return all
}
