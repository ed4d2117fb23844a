package main

import (
	"encoding/json"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	dnsproto "istio.io/istio/pkg/dns/proto"
)

// names makes what the agent of a proxy that captures DNS answers itself: the names that are no Services of Kubernetes,
// which the cluster's resolver answers alike. JSON: name -> addresses; empty where DNS is not captured.
func (w *world) names(p *proxy, state *resources, request *model.PushRequest) error {
	if !bool(p.node.Metadata.DNSCapture) {
		state.names = nil
		return nil
	}
	made, _, err := w.generators[v3.NameTableType].Generate(p.node, nil, request)
	if err != nil || made == nil {
		return err
	}
	table := &dnsproto.NameTable{}
	if err := made[0].Resource.UnmarshalTo(table); err != nil {
		return err
	}
	found := map[string][]string{}
	for name, info := range table.Table {
		if provider.ID(info.Registry) != provider.Kubernetes {
			found[name] = info.Ips
		}
	}
	state.names, err = json.Marshal(found)
	return err
}
