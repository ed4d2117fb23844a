package main

import (
	"fmt"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/util"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/util/sets"
)

// generate makes the new state of a proxy's resources with istiod's generators, each of which decides by istiod's
// own rules whether the request concerns it. A nil answer means that nothing changed.
func (w *world) generate(p *proxy, request *model.PushRequest) (*resources, error) {
	before := p.node.LastPushContext
	if configured, err := p.configure(request); err != nil {
		return nil, err
	} else if configured {
		request = whole(request.Push)
	}
	if !model.OnlyHasConfigsOfKind(request.ConfigsUpdated, kind.Endpoints) || request.Forced {
		p.refresh(w.env, request)
	}
	request, needed := xds.DefaultProxyNeedsPush(p.node, request)
	if !needed || passedOver(p, before, request) {
		return nil, nil
	}
	// What a proxy asks for anew is made whatever the request is about.
	all := *request
	all.Forced = true
	state := p.state.copy()
	steps := []func() error{
		func() error { return w.clusters(p, &state, request) },
		func() error { return w.named(p, &state, "EDS", request, &all) },
		func() error { return w.listeners(p, &state, request) },
		func() error { return w.named(p, &state, "RDS", request, &all) },
		func() error { return w.named(p, &state, "ECDS", request, &all) },
		func() error { return w.secrets(p, &state, &all) },
		func() error { return w.names(p, &state, request) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.id, err)
		}
	}
	return &state, nil
}

// passedOver says whether a request is about AuthorizationPolicies alone, none of which is or was for this sidecar.
// Istio's own rule stops at their namespace, and its listeners come out as they were, which takes as long as changing them.
func passedOver(p *proxy, before *model.PushContext, request *model.PushRequest) bool {
	if request.Forced || before == nil || p.node.Type != model.SidecarProxy {
		return false // a gateway's policies may hang on more than its labels
	}
	changed := request.ConfigsUpdated
	return model.OnlyHasConfigsOfKind(changed, kind.AuthorizationPolicy) &&
		!p.selectedBy(changed, before) && !p.selectedBy(changed, request.Push)
}

// typeURLs are the long names of the types.
var typeURLs = map[string]string{
	"CDS": v3.ClusterType, "EDS": v3.EndpointType, "LDS": v3.ListenerType, "RDS": v3.RouteType,
	"ECDS": v3.ExtensionConfigurationType, "SDS": v3.SecretType,
}

// ask runs one generator; a nil answer means that the request does not concern it.
func (w *world) ask(p *proxy, kind string, names sets.String, request *model.PushRequest) (map[string][]byte, error) {
	url := typeURLs[kind]
	made, _, err := w.generators[url].Generate(p.node, &model.WatchedResource{TypeUrl: url, ResourceNames: names}, request)
	if err != nil || made == nil {
		return nil, err
	}
	return blobsOf(made), nil
}

func blobsOf(made model.Resources) map[string][]byte {
	blobs := make(map[string][]byte, len(made))
	for _, resource := range made {
		if resource.GetResource() != nil {
			blobs[resource.Name] = resource.Resource.Value
		}
	}
	return blobs
}

// clusters uses istiod's delta generator, which makes only the clusters of the services that a change is about.
func (w *world) clusters(p *proxy, state *resources, request *model.PushRequest) error {
	generator := w.generators[v3.ClusterType].(model.XdsDeltaResourceGenerator)
	known := sets.NewWithLength[string](len(state.blobs["CDS"]))
	for name := range state.blobs["CDS"] {
		known.Insert(name)
	}
	watched := &model.WatchedResource{TypeUrl: v3.ClusterType, ResourceNames: known}
	made, deleted, _, delta, err := generator.GenerateDeltas(p.node, request, watched)
	if err != nil || (made == nil && len(deleted) == 0) {
		return err
	}
	found, removed := blobsOf(made), []string(deleted)
	if !delta {
		removed = state.missing("CDS", found)
	}
	return state.refer("CDS", state.put("CDS", found, removed), removed, readCluster)
}

func (w *world) listeners(p *proxy, state *resources, request *model.PushRequest) error {
	found, err := w.ask(p, "LDS", nil, request)
	if err != nil || found == nil {
		return err
	}
	removed := state.missing("LDS", found)
	return state.refer("LDS", state.put("LDS", found, removed), removed, readListener)
}

// named makes the resources that others ask for by name: those that the request concerns, and those that are asked for
// the first time.
func (w *world) named(p *proxy, state *resources, kind string, request, all *model.PushRequest) error {
	names := state.wanted[kind]
	if kind == "EDS" && bool(p.node.Metadata.EnableSelfDiscovery) {
		// A cluster of the bootstrap: the pods of the proxy's own workload, by which it routes within zones.
		names = names.Copy().Insert(util.SelfDiscoveryCluster)
	}
	if len(names) == 0 && len(state.blobs[kind]) == 0 {
		return nil
	}
	missing := state.keep(kind, names)
	known := names
	if len(missing) > 0 {
		known = names.Copy().DeleteAll(missing...)
	}
	if len(known) > 0 {
		found, err := w.ask(p, kind, known, request)
		if err != nil {
			return err
		}
		state.put(kind, found, nil)
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := w.ask(p, kind, sets.New(missing...), all)
	if err != nil {
		return err
	}
	state.put(kind, found, nil)
	return nil
}

// secrets makes all that a proxy refers to, whatever the request is about: they are few and cached, and which of them a
// proxy may have depends on more than themselves.
func (w *world) secrets(p *proxy, state *resources, all *model.PushRequest) error {
	names := state.wanted["SDS"]
	if len(names) == 0 && len(state.blobs["SDS"]) == 0 {
		return nil
	}
	found, err := w.ask(p, "SDS", names, all)
	if err != nil {
		return err
	}
	state.put("SDS", found, state.missing("SDS", found))
	return nil
}
