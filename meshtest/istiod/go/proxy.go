package main

import (
	"encoding/json"
	"fmt"
	"strings"

	envoycore "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"istio.io/api/label"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/util"
	labelutil "istio.io/istio/pilot/pkg/serviceregistry/util/label"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/kind"
	pm "istio.io/istio/pkg/model"
	"istio.io/istio/pkg/spiffe"
	"istio.io/istio/pkg/util/sets"
)

// metadataPrefix begins the variables whose rest is a key of the node metadata (pkg/bootstrap, IstioMetaPrefix).
const metadataPrefix = "ISTIO_META_"

// proxySpec is a proxy as the client tells of it: the node that Envoy would say it is.
type proxySpec struct {
	ID             string            `json:"id"`
	IP             string            `json:"ip"`
	Namespace      string            `json:"namespace"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations"`
	ServiceAccount string            `json:"serviceAccount"`
	ReadsSecrets   bool              `json:"readsSecrets"`
	Cluster        string            `json:"cluster"`
	Locality       string            `json:"locality"`
	Metadata       json.RawMessage   `json:"metadata"`
}

// proxy is one proxy that the engine generates for, and what it was told so far.
type proxy struct {
	spec  json.RawMessage
	id    string
	node  *model.Proxy
	state resources
	fresh bool // never generated for

	configured   *meshconfig.ProxyConfig
	readsSecrets bool
}

// newProxy does what istiod does with the node of a first discovery request.
func newProxy(spec json.RawMessage) (*proxy, error) {
	var told proxySpec
	if err := json.Unmarshal(spec, &told); err != nil {
		return nil, err
	}
	metadata, err := metadataOf(&told)
	if err != nil {
		return nil, err
	}
	node, err := model.ParseServiceNodeWithMetadata(told.ID, metadata)
	if err != nil {
		return nil, err
	}
	parts := append(strings.Split(told.Locality, "/"), "", "")
	node.XdsNode = &envoycore.Node{
		Id: told.ID, Cluster: told.Cluster,
		Locality: &envoycore.Locality{Region: parts[0], Zone: parts[1], SubZone: parts[2]},
	}
	node.ConfigNamespace = model.GetProxyConfigNamespace(node)
	node.VerifiedIdentity = &spiffe.Identity{ // its certificate says so; without one no gateway gets a certificate
		TrustDomain: domain, Namespace: node.ConfigNamespace, ServiceAccount: metadata.ServiceAccount,
	}
	node.WatchedResources = map[string]*model.WatchedResource{}
	node.DiscoverIPMode()
	return &proxy{
		spec: spec, id: told.ID, node: node, state: newResources(), fresh: true, readsSecrets: told.ReadsSecrets,
	}, nil
}

// metadataOf reads the node metadata; what the client leaves out comes from the rest of the proxy's description.
func metadataOf(told *proxySpec) (*model.NodeMetadata, error) {
	metadata := &model.NodeMetadata{
		IstioVersion: proxyVersion, ClusterID: clusterID, InterceptionMode: model.InterceptionRedirect,
		Namespace: told.Namespace, ServiceAccount: told.ServiceAccount, Labels: told.Labels, Annotations: told.Annotations,
	}
	if told.IP != "" {
		metadata.InstanceIPs = []string{told.IP}
	}
	if len(told.Metadata) > 0 {
		if err := json.Unmarshal(told.Metadata, metadata); err != nil {
			return nil, err
		}
	}
	return metadata, nil
}

// configure gives the node its ProxyConfig, as the injector and the agent do when a pod starts: mesh defaults, ProxyConfig
// resources, the annotation `proxy.istio.io/config`, and metadata from the environment that these set. Whether it is new.
//
// Merging these takes longer than making most of what an update changes; a new mesh configuration is a new istiod, which
// forces everything.
func (p *proxy) configure(request *model.PushRequest) (bool, error) {
	if p.configured != nil && !request.Forced && !model.HasConfigsOfKind(request.ConfigsUpdated, kind.ProxyConfig) {
		return false, nil
	}
	metadata, push := p.node.Metadata, request.Push
	effective := push.ProxyConfigs.EffectiveProxyConfig(metadata, push.Mesh)
	if proto.Equal(effective, p.configured) {
		return false, nil
	}
	var told proxySpec
	if err := json.Unmarshal(p.spec, &told); err != nil {
		return false, err
	}
	fresh, err := metadataOf(&told)
	if err != nil {
		return false, err
	}
	environment := map[string]string{}
	for name, value := range effective.GetProxyMetadata() {
		if key, ok := strings.CutPrefix(name, metadataPrefix); ok {
			environment[key] = value
		}
	}
	text, err := json.Marshal(environment)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, fresh); err != nil {
		return false, fmt.Errorf("proxyMetadata: %w", err)
	}
	fresh.ProxyConfig = (*model.NodeMetaProxyConfig)(effective)
	if err := keepRaw(fresh, environment); err != nil {
		return false, err
	}
	p.node.Metadata, p.configured = fresh, effective
	return true, nil
}

// keepRaw keeps the metadata as a client sends it, with what istiod has no field for: EnvoyFilters match by it.
func keepRaw(metadata *model.NodeMetadata, environment map[string]string) error {
	text, err := json.Marshal(metadata)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &metadata.Raw); err != nil {
		return err
	}
	for name, value := range environment {
		metadata.Raw[name] = value
	}
	return nil
}

// selectedBy says whether one of these AuthorizationPolicies is for this proxy, as they are in a picture of the mesh.
func (p *proxy) selectedBy(changed sets.Set[model.ConfigKey], push *model.PushContext) bool {
	matcher := model.PolicyMatcherForProxy(p.node)
	for key := range changed {
		for _, policy := range push.AuthzPolicies.NamespaceToPolicies[key.Namespace] {
			if policy.Name == key.Name &&
				matcher.ShouldAttachPolicy(gvk.AuthorizationPolicy, policy.NamespacedName(), policy.Spec) {
				return true
			}
		}
	}
	return false
}

// refresh brings what istiod knows of the node itself up to date: pilot/pkg/xds/ads.go, computeProxyState.
func (p *proxy) refresh(env *model.Environment, request *model.PushRequest) {
	node := p.node
	if p.fresh || request.IsProxyUpdate() {
		node.SetWorkloadLabels(env)
		setTopology(node)
	}
	scope, gateways := p.fresh || request.Forced, false
	if scope || node.ShouldUpdateServiceTargets(request.ConfigsUpdated) {
		node.SetServiceTargets(env.ServiceDiscovery)
		gateways = true
	}
	for changed := range request.ConfigsUpdated {
		switch changed.Kind {
		case kind.ServiceEntry, kind.DestinationRule, kind.VirtualService, kind.PeerAuthentication, kind.Sidecar:
			scope = true
		case kind.Gateway:
			gateways = true
		}
	}
	if scope {
		node.SetSidecarScope(request.Push)
	}
	if gateways && node.Type == model.Router {
		node.SetGatewaysForProxy(request.Push)
	}
	node.LastPushContext = request.Push
	node.LastPushTime = request.Start
}

// setTopology gives the node its locality: from its labels, else what it says itself (ads.go, setTopologyLabels).
func setTopology(node *model.Proxy) {
	region, hasRegion := node.Labels[labelutil.LabelTopologyRegion]
	zone, hasZone := node.Labels[labelutil.LabelTopologyZone]
	subzone, hasSubzone := node.Labels[label.TopologySubzone.Name]
	switch locality := pm.GetLocalityLabel(node.Labels); {
	case hasRegion || hasZone || hasSubzone:
		node.Locality = &envoycore.Locality{Region: region, Zone: zone, SubZone: subzone}
	case locality != "":
		node.Locality = util.ConvertLocality(locality)
	default:
		node.Locality = node.XdsNode.Locality
	}
	node.Labels = labelutil.AugmentLabels(
		node.Labels, node.Metadata.ClusterID, util.LocalityToString(node.Locality), node.GetNodeName(), node.Metadata.Network)
}
