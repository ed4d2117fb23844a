package main

import (
	"bytes"
	"encoding/json"
	"maps"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"istio.io/istio/pkg/util/sets"
)

// The names of resource types on the wire, in the order in which a proxy takes them.
var types = []string{"CDS", "EDS", "LDS", "RDS", "ECDS", "SDS"}

// resources is everything a proxy was told, by type and name, and what it asks for by name because of it.
//
// A state is never changed once it is made: a copy shares what did not change.
type resources struct {
	blobs map[string]map[string][]byte
	// references are, per type, the names that each cluster (for EDS and SDS) or listener (for RDS, ECDS and SDS) refers to.
	references map[string]map[string][]string
	// wanted unites them.
	wanted map[string]sets.String
	// names is what the proxy's agent answers of DNS, as JSON; empty where it does not capture any.
	names json.RawMessage
}

func newResources() resources {
	made := resources{
		blobs: map[string]map[string][]byte{}, references: map[string]map[string][]string{}, wanted: map[string]sets.String{},
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
	names   json.RawMessage // nil: as they were
}

func (c *changes) empty() bool { return len(c.set) == 0 && len(c.removed) == 0 && c.names == nil }

// copy allows a new state to be made while the old one stays as it is, until the update has succeeded.
func (r *resources) copy() resources {
	return resources{
		blobs: maps.Clone(r.blobs), references: maps.Clone(r.references), wanted: maps.Clone(r.wanted), names: r.names,
	}
}

// put replaces resources of a type, and removes others; it returns the names of those that are new or differ.
func (r *resources) put(kind string, found map[string][]byte, removed []string) []string {
	old := r.blobs[kind]
	var changed []string
	for name, blob := range found {
		if before, ok := old[name]; !ok || !bytes.Equal(before, blob) {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 && len(removed) == 0 {
		return nil
	}
	updated := maps.Clone(old)
	for _, name := range removed {
		delete(updated, name)
	}
	for _, name := range changed {
		updated[name] = found[name]
	}
	r.blobs[kind] = updated
	return changed
}

// missing lists the resources of a type that are not among those found.
func (r *resources) missing(kind string, found map[string][]byte) []string {
	var names []string
	for name := range r.blobs[kind] {
		if _, ok := found[name]; !ok {
			names = append(names, name)
		}
	}
	return names
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
	if !bytes.Equal(old.names, r.names) {
		if found.names = r.names; found.names == nil {
			found.names = json.RawMessage("{}")
		}
	}
	return found
}

// refer notes what a type's resources that changed or went refer to, as read finds it.
func (r *resources) refer(kind string, changed, removed []string, read func(blob []byte) (map[string][]string, error)) error {
	if len(changed)+len(removed) == 0 {
		return nil
	}
	touched := sets.New[string]()
	update := func(target, name string, names []string) {
		if !touched.InsertContains(target) {
			r.references[target] = maps.Clone(r.references[target])
			if r.references[target] == nil {
				r.references[target] = map[string][]string{}
			}
		}
		if by := kind + " " + name; names == nil {
			delete(r.references[target], by)
		} else {
			r.references[target][by] = names
		}
	}
	for _, name := range removed {
		for _, target := range referredBy[kind] {
			update(target, name, nil)
		}
	}
	for _, name := range changed {
		names, err := read(r.blobs[kind][name])
		if err != nil {
			return err
		}
		for _, target := range referredBy[kind] {
			update(target, name, names[target])
		}
	}
	for target := range touched {
		all := sets.New[string]()
		for _, names := range r.references[target] {
			all.InsertAll(names...)
		}
		r.wanted[target] = all
	}
	return nil
}

// referredBy are the types that resources of a type refer to.
var referredBy = map[string][]string{"CDS": {"EDS", "SDS"}, "LDS": {"RDS", "ECDS", "SDS"}}

// readCluster finds which endpoints and secrets a cluster asks for.
func readCluster(blob []byte) (map[string][]string, error) {
	cluster := &clusterv3.Cluster{}
	if err := proto.Unmarshal(blob, cluster); err != nil {
		return nil, err
	}
	names := map[string][]string{}
	if cluster.GetType() == clusterv3.Cluster_EDS {
		name := cluster.GetEdsClusterConfig().GetServiceName()
		if name == "" {
			name = cluster.Name
		}
		names["EDS"] = []string{name}
	}
	if !refersToSecrets(blob) {
		return names, nil
	}
	sockets := []*core.TransportSocket{cluster.GetTransportSocket()}
	for _, match := range cluster.GetTransportSocketMatches() {
		sockets = append(sockets, match.GetTransportSocket())
	}
	var err error
	names["SDS"], err = secretsOf(sockets)
	return names, err
}

// readListener finds which routes, filter configurations and secrets a listener asks for.
func readListener(blob []byte) (map[string][]string, error) {
	listener := &listenerv3.Listener{}
	if err := proto.Unmarshal(blob, listener); err != nil {
		return nil, err
	}
	names := map[string][]string{}
	var sockets []*core.TransportSocket
	for _, chain := range append(listener.FilterChains, listener.DefaultFilterChain) {
		sockets = append(sockets, chain.GetTransportSocket())
		for _, filter := range chain.GetFilters() {
			if filter.GetConfigDiscovery() != nil {
				names["ECDS"] = append(names["ECDS"], filter.Name)
			}
			if !filter.GetTypedConfig().MessageIs(&hcm.HttpConnectionManager{}) {
				continue
			}
			manager := &hcm.HttpConnectionManager{}
			if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
				return nil, err
			}
			if route := manager.GetRds().GetRouteConfigName(); route != "" {
				names["RDS"] = append(names["RDS"], route)
			}
			for _, http := range manager.HttpFilters {
				if http.GetConfigDiscovery() != nil {
					names["ECDS"] = append(names["ECDS"], http.Name)
				}
			}
		}
	}
	if !refersToSecrets(blob) {
		return names, nil
	}
	var err error
	names["SDS"], err = secretsOf(sockets)
	return names, err
}
