package main

import (
	"cmp"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"
	configaggregate "istio.io/istio/pilot/pkg/config/aggregate"
	"istio.io/istio/pilot/pkg/config/kube/extensions"
	"istio.io/istio/pilot/pkg/config/kube/gateway"
	"istio.io/istio/pilot/pkg/config/kube/ingress"
	"istio.io/istio/pilot/pkg/config/memory"
	kubecredentials "istio.io/istio/pilot/pkg/credentials/kube"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pilot/pkg/serviceregistry/aggregate"
	kubecontroller "istio.io/istio/pilot/pkg/serviceregistry/kube/controller"
	"istio.io/istio/pilot/pkg/serviceregistry/serviceentry"
	"istio.io/istio/pilot/pkg/xds"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/activenotifier"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/kube/kclient"
	"istio.io/istio/pkg/kube/krt"
	"istio.io/istio/pkg/kube/multicluster"
	"istio.io/istio/pkg/kube/namespace"
	"istio.io/istio/pkg/util/sets"
)

const (
	clusterID       = "Kubernetes"
	systemNamespace = "istio-system"
	domain          = constants.DefaultClusterLocalDomain
)

// revision is istiod's own, as Istio's chart gives it to it: what is labelled with another one (istio.io/rev) is somebody else's.
func revision() string {
	return cmp.Or(os.Getenv("REVISION"), "default")
}

// world is one istiod: its stores, registries, controllers and generators, wired as pilot/pkg/bootstrap does.
//
//	Istio kinds ──► store ────┬─► virtual services, service entries, extensions ─┐
//	others ──► fake API server ┴─► registry, gateway controller ────────────────┴─► environment ─► generators
type world struct {
	stop       chan struct{}
	client     *apiServer
	store      *memory.Controller
	env        *model.Environment
	updater    *updater
	ingresses  *ingress.Controller  // nil where MeshConfig switches it off
	server     *xds.DiscoveryServer // only its parts are used: cache, generators, push rules
	generators map[string]model.XdsResourceGenerator
	keySets    map[*security.JWTRule]keySet
	pushes     int
}

// newWorld starts an istiod that knows of nothing yet.
func newWorld(mesh *meshconfig.MeshConfig) *world {
	w := &world{stop: make(chan struct{}), env: model.NewEnvironment(), keySets: map[*security.JWTRule]keySet{}}
	debugger := new(krt.DebugHandler)
	watcher := meshwatcher.NewTestWatcher(mesh)
	w.env.DomainSuffix = domain
	w.env.Watcher = watcher
	w.env.NetworksWatcher = meshwatcher.NewFixedNetworksWatcher(nil)
	w.env.AmbientIndexes = &model.NoopAmbientIndexes{}
	w.updater = &updater{index: w.env.EndpointIndex}
	w.server = xds.NewDiscoveryServer(w.env, nil, debugger)
	w.server.Shutdown() // its refresher of key sets waits on a channel from outside the bubble, which never settles then

	w.client = newAPIServer()
	namespaces := kclient.New[*corev1.Namespace](w.client)
	w.client.filter = namespace.NewDiscoveryNamespacesFilter(namespaces, watcher, w.stop)

	registry := aggregate.NewController(aggregate.Options{MeshHolder: w.env, ConfigClusterID: clusterID})
	options := kubecontroller.Options{
		SystemNamespace: systemNamespace, DomainSuffix: domain, ClusterID: clusterID, ConfigCluster: true, Revision: revision(),
		Metrics: w.env, XDSUpdater: w.updater, MeshWatcher: watcher, MeshNetworksWatcher: w.env.NetworksWatcher,
		MeshServiceController: registry, StatusWritingEnabled: activenotifier.New(false), KrtDebugger: debugger,
	}

	configs, err := configaggregate.MakeWriteableCache(w.stores(options, watcher), w.store)
	must(err)
	w.env.ConfigStore = configs
	virtualServices := model.NewVirtualServiceController(
		configs, model.VSControllerOptions{KrtDebugger: debugger, XDSUpdater: w.updater}, watcher)
	w.env.VirtualServiceController = virtualServices

	clusters := multicluster.NewController(multicluster.ControllerOptions{
		Client: w.client, ClusterID: clusterID, SystemNamespace: systemNamespace, MeshConfig: watcher, Debugger: debugger,
	})
	credentials := kubecredentials.NewMulticluster(clusterID, clusters)
	credentials.AddSecretHandler(func(changed kind.Kind, name, namespace string) {
		w.updater.ConfigUpdate(&model.PushRequest{
			ConfigsUpdated: sets.New(model.ConfigKey{Kind: changed, Name: name, Namespace: namespace}),
			Reason:         model.NewReasonStats(model.SecretTrigger),
		})
	})
	w.env.CredentialsController = credentials
	entries := serviceentry.NewController(configs, w.updater, clusters, watcher,
		serviceentry.WithClusterID(clusterID), serviceentry.WithKRTDebugger(debugger))
	services := kubecontroller.NewController(w.client, options)
	services.AppendWorkloadHandler(entries.WorkloadInstanceHandler)
	entries.AppendWorkloadHandler(services.WorkloadInstanceHandler)
	registry.AddRegistry(entries)
	registry.AddRegistry(services)
	w.env.ServiceDiscovery = registry
	w.listen(registry, configs)
	w.env.Init()
	must(w.env.InitNetworksManager(w.updater))
	w.generators = generatorsOf(w.server)

	must(clusters.Run(w.stop))
	w.client.RunAndWait(w.stop)
	go registry.Run(w.stop)
	go configs.Run(w.stop)
	go virtualServices.Run(w.stop)
	settle()
	entries.ResyncEDS()
	w.updater.ConfigUpdate(&model.PushRequest{Forced: true})
	return w
}

// stores are where Istio's kinds come from: the resources themselves, and what istiod makes of the Gateway API and of
// Ingresses.
func (w *world) stores(options kubecontroller.Options, watcher meshwatcher.WatcherCollection) []model.ConfigStoreController {
	w.store = memory.NewController(memory.MakeSkipValidation(collections.PilotGatewayAPI()))
	gateways := gateway.NewController(w.client, always, options, w.updater)
	w.env.GatewayAPIController = gateways
	stores := []model.ConfigStoreController{w.store, extensions.NewController(w.store, w.updater, options.KrtDebugger), gateways}
	if watcher.Mesh().IngressControllerMode != meshconfig.MeshConfig_OFF {
		w.ingresses = ingress.NewController(w.client, watcher, options, w.updater)
		stores = append(stores, w.ingresses)
	}
	return stores
}

// close ends every goroutine of this istiod.
func (w *world) close() {
	close(w.stop)
	w.client.Shutdown()
	settle()
}

func always(schema.GroupVersionResource, <-chan struct{}) bool { return true }

// listen asks for pushes as istiod does: services, and Istio's kinds except those whose controllers ask themselves.
func (w *world) listen(registry *aggregate.Controller, configs model.ConfigStoreController) {
	registry.AppendServiceHandler(func(_, service *model.Service, _ model.Event) {
		w.updater.ConfigUpdate(&model.PushRequest{
			ConfigsUpdated: sets.New(model.ConfigKey{
				Kind: kind.ServiceEntry, Name: string(service.Hostname), Namespace: service.Attributes.Namespace,
			}),
			Reason: model.NewReasonStats(model.ServiceUpdate),
		})
	})
	own := sets.New(gvk.ServiceEntry, gvk.WorkloadEntry, gvk.WorkloadGroup, gvk.VirtualService, gvk.WasmPlugin)
	for _, schema := range collections.PilotGatewayAPI().All() {
		if own.Contains(schema.GroupVersionKind()) || schema.GroupVersionKind().Group == gvk.KubernetesGateway.Group {
			continue
		}
		configs.RegisterEventHandler(schema.GroupVersionKind(), func(old, current config.Config, event model.Event) {
			if event == model.EventUpdate && !model.NeedsPush(old, current) {
				return
			}
			w.updater.ConfigUpdate(&model.PushRequest{
				ConfigsUpdated: sets.New(model.ConfigKey{
					Kind: gvk.MustToKind(current.GroupVersionKind), Name: current.Name, Namespace: current.Namespace,
				}),
				Reason: model.NewReasonStats(model.ConfigUpdate),
			})
		})
	}
}

func generatorsOf(server *xds.DiscoveryServer) map[string]model.XdsResourceGenerator {
	generator := core.NewConfigGenerator(server.Cache)
	// The access log is kept for the whole process, not by the generator: as built for another MeshConfig, too.
	generator.MeshConfigChanged(server.Env.Mesh())
	return map[string]model.XdsResourceGenerator{
		v3.ClusterType:                &xds.CdsGenerator{ConfigGenerator: generator},
		v3.EndpointType:               &xds.EdsGenerator{Cache: server.Cache, EndpointIndex: server.Env.EndpointIndex},
		v3.ListenerType:               &xds.LdsGenerator{ConfigGenerator: generator},
		v3.RouteType:                  &xds.RdsGenerator{ConfigGenerator: generator},
		v3.ExtensionConfigurationType: &xds.EcdsGenerator{ConfigGenerator: generator},
		v3.NameTableType:              &xds.NdsGenerator{ConfigGenerator: generator},
		v3.SecretType:                 xds.NewSecretGen(server.Env.CredentialsController, server.Cache, clusterID, server.Env.Mesh()),
	}
}

// push makes istiod's picture of the mesh (its PushContext) true to its stores, and returns what changed in it for
// the proxies; nil if nothing did.
//
// The Gateway API's controller answers each new picture with new routes, which make a new picture: hence the loop.
func (w *world) push() (*model.PushRequest, sets.String) {
	var all *model.PushRequest
	addresses := sets.New[string]()
	for {
		settle()
		request, proxies := w.updater.take()
		addresses.Merge(proxies)
		if request == nil {
			break
		}
		w.pushes++
		old := w.env.PushContext()
		context := model.NewPushContext()
		context.PushVersion = strconv.Itoa(w.pushes)
		context.JwtKeyResolver = w.server.JwtKeyResolver
		context.InitContext(w.env, old, request)
		w.standInForFetches(context)
		// istiod's cache of routes does not know that `egressProxy` of a Sidecar makes other ones.
		if request.Forced || model.HasConfigsOfKind(request.ConfigsUpdated, kind.Sidecar) {
			w.env.Cache.ClearAll()
		} else {
			w.env.Cache.Clear(request.ConfigsUpdated)
		}
		w.env.SetPushContext(context)
		all = all.CopyMerge(request)
	}
	if all == nil && len(addresses) > 0 {
		all = &model.PushRequest{Reason: model.NewReasonStats(model.ProxyUpdate)}
	}
	if all != nil {
		if all.ConfigsUpdated == nil {
			all.ConfigsUpdated = sets.New[model.ConfigKey]()
		}
		all.Push = w.env.PushContext()
		all.Start = time.Now()
	}
	return all, addresses
}
