package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubetypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"istio.io/istio/manifests"
	"istio.io/istio/pilot/pkg/config/kube/gatewaycommon"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/kube/inject"
	"istio.io/istio/pkg/revisions"
)

const chart = "charts/istio-control/istio-discovery/"

// deployments are the objects that istiod's deployment controller makes of the Gateways of the Gateway API among these:
// a Deployment, a Service and a ServiceAccount each, out of istiod's own template.
//
//	Gateways, Namespaces, ... ──► fake API server ──► controller ──► what it would have applied
func (e *engine) deployments(wanted []json.RawMessage) (made []json.RawMessage, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = &failure{
				Kind: "Panic", Message: fmt.Sprintf("istiod's gateway controller panicked: %v", recovered), Stack: string(debug.Stack()),
			}
		}
	}()
	config, err := injection()
	if err != nil {
		return nil, err
	}
	found := &applied{}
	server := newAPIServer()
	server.dynamic = found
	objects, _ := e.judge.admitAll(wanted) // what a cluster would refuse is said when the engine is told of it
	for _, o := range objects {
		if o.kube == nil {
			continue
		}
		o.kube.(metav1.Object).SetUID(kubetypes.UID(o.Kind + "-" + o.Namespace + "-" + o.Name)) // what is made of it names it by that
		if err := server.set(o.kind(), o.kube); err != nil {
			return nil, err
		}
	}
	runDeploymentController(server, config)
	return found.objects, nil
}

// runDeploymentController lets it work until it comes to rest.
func runDeploymentController(server *apiServer, config inject.WebhookConfig) {
	stop := make(chan struct{})
	env := model.NewEnvironment()
	env.Watcher = meshwatcher.NewTestWatcher(config.MeshConfig)
	context := model.NewPushContext()
	context.InitDone.Store(true) // nothing of the mesh decides about a gateway's pods but its ProxyConfig, of which they take the image
	env.SetPushContext(context)
	tags := revisions.NewTagWatcher(server, revision(), systemNamespace)
	controller := gatewaycommon.NewDeploymentController(
		server, clusterID, env, func() inject.WebhookConfig { return config }, func(func()) {}, tags, revision(), systemNamespace)
	server.RunAndWait(stop)
	go tags.Run(stop)
	go controller.Run(stop)
	settle()
	close(stop)
	server.Shutdown()
	settle()
}

// injection is the injector's configuration as Istio's chart installs it.
var injection = sync.OnceValues(func() (made inject.WebhookConfig, err error) {
	template, err := manifests.FS.ReadFile(chart + "files/kube-gateway.yaml")
	if err != nil {
		return made, err
	}
	text, err := manifests.FS.ReadFile(chart + "values.yaml")
	if err != nil {
		return made, err
	}
	var values struct {
		Defaults json.RawMessage `json:"_internal_defaults_do_not_set"`
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return made, err
	}
	if made.Values, err = inject.NewValuesConfig(string(values.Defaults)); err != nil {
		return made, err
	}
	made.MeshConfig = mesh.DefaultMeshConfig()
	made.Templates, err = inject.ParseTemplates(map[string]string{"kube-gateway": string(template)})
	return made, err
})

// applied stands where istiod has its client for server-side apply, and keeps what comes.
type applied struct {
	dynamic.NamespaceableResourceInterface

	mutex   sync.Mutex
	objects []json.RawMessage
}

var _ dynamic.Interface = &applied{}

func (a *applied) Resource(schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return a
}
func (a *applied) Namespace(string) dynamic.ResourceInterface { return a }

func (a *applied) Patch(
	_ context.Context, _ string, _ kubetypes.PatchType, patch []byte, _ metav1.PatchOptions, subresources ...string,
) (*unstructured.Unstructured, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if len(subresources) == 0 { // else a note on the Gateway itself, of which controller it belongs to
		a.objects = append(a.objects, patch)
	}
	return &unstructured.Unstructured{}, nil
}
