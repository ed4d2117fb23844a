package main

import (
	"fmt"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/util/sets"
)

// generate makes the new state of a proxy's resources with istiod's generators, each of which decides by istiod's
// own rules whether the request concerns it. A nil answer means that nothing changed.
func (w *world) generate(p *proxy, request *model.PushRequest) (*resources, error) {
	if !model.OnlyHasConfigsOfKind(request.ConfigsUpdated, kind.Endpoints) || request.Forced {
		p.refresh(w.env, request)
	}
	request, needed := xds.DefaultProxyNeedsPush(p.node, request)
	if !needed {
		return nil, nil
	}
	// What a proxy asks for anew is made whatever the request is about.
	all := *request
	all.Forced = true
	state := p.state.copy()
	steps := []func() error{
		func() error { return w.clusters(p, &state, request) },
		func() error { return w.endpoints(p, &state, request, &all) },
		func() error { return w.listeners(p, &state, request) },
		func() error {
			names := referred(state.routeNames, state.blobs["LDS"])
			return w.named(p, &state, "RDS", v3.RouteType, names, request, &all)
		},
		func() error {
			names := referred(state.extensionNames, state.blobs["LDS"])
			return w.named(p, &state, "ECDS", v3.ExtensionConfigurationType, names, request, &all)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.id, err)
		}
	}
	return &state, nil
}

// ask runs one generator; ok is false if the request does not concern it.
func (w *world) ask(p *proxy, typeURL string, names sets.String, request *model.PushRequest) (map[string][]byte, bool, error) {
	watched := &model.WatchedResource{TypeUrl: typeURL, ResourceNames: names}
	made, _, err := w.generators[typeURL].Generate(p.node, watched, request)
	if err != nil || made == nil {
		return nil, false, err
	}
	blobs := make(map[string][]byte, len(made))
	for _, resource := range made {
		if resource.GetResource() != nil {
			blobs[resource.Name] = resource.Resource.Value
		}
	}
	return blobs, true, nil
}

func (w *world) clusters(p *proxy, state *resources, request *model.PushRequest) error {
	found, ok, err := w.ask(p, v3.ClusterType, nil, request)
	if err != nil || !ok {
		return err
	}
	for _, name := range state.put("CDS", found, true) {
		if err := state.readCluster(name); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) listeners(p *proxy, state *resources, request *model.PushRequest) error {
	found, ok, err := w.ask(p, v3.ListenerType, nil, request)
	if err != nil || !ok {
		return err
	}
	for _, name := range state.put("LDS", found, true) {
		if err := state.readListener(name); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) endpoints(p *proxy, state *resources, request, all *model.PushRequest) error {
	names := referred(state.edsNames, state.blobs["CDS"])
	return w.named(p, state, "EDS", v3.EndpointType, names, request, all)
}

// named makes resources that others ask for by name: those that the request concerns, and those that are asked for
// the first time.
func (w *world) named(
	p *proxy, state *resources, kind, typeURL string, names sets.String, request, all *model.PushRequest,
) error {
	if len(names) == 0 && len(state.blobs[kind]) == 0 {
		return nil
	}
	missing := state.keep(kind, names)
	if len(names) > len(missing) {
		found, ok, err := w.ask(p, typeURL, names.Copy().DeleteAll(missing...), request)
		if err != nil {
			return err
		}
		if ok {
			state.put(kind, found, false)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, _, err := w.ask(p, typeURL, sets.New(missing...), all)
	if err != nil {
		return err
	}
	state.put(kind, found, false)
	return nil
}
