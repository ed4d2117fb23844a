package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubeversion "k8s.io/apimachinery/pkg/version"

	extclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	extfake "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/fake"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/metadata"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	inferenceclient "sigs.k8s.io/gateway-api-inference-extension/client-go/clientset/versioned"
	inferencefake "sigs.k8s.io/gateway-api-inference-extension/client-go/clientset/versioned/fake"
	gatewayclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"
	gatewayfake "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/fake"
	"sigs.k8s.io/gateway-api/pkg/consts"

	istioclient "istio.io/client-go/pkg/clientset/versioned"
	istiofake "istio.io/client-go/pkg/clientset/versioned/fake"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/informerfactory"
	"istio.io/istio/pkg/kube/kubetypes"
	"istio.io/istio/pkg/util/sets"
)

// kubernetesMinor is the Kubernetes release that istiod believes it runs on.
const kubernetesMinor = "33"

// apiServer is a Kubernetes API server in memory, with the CRDs of Istio and the Gateway API installed.
//
// kube.NewFakeClient is the same with server-side apply, which nothing here needs; preparing for it takes longer than
// all the rest of istiod's start.
type apiServer struct {
	kube      *kubefake.Clientset
	istio     *istiofake.Clientset
	gateway   *gatewayfake.Clientset
	inference *inferencefake.Clientset
	metadata  *metadatafake.FakeMetadataClient
	dynamic   dynamic.Interface
	informers informerfactory.InformerFactory
	watcher   kubetypes.CrdWatcher
	filter    kubetypes.DynamicObjectFilter
	readers   sets.String // service accounts that may read the secrets of their namespace
}

var _ kube.Client = &apiServer{}

func newAPIServer() *apiServer {
	server := &apiServer{
		kube:      kubefake.NewSimpleClientset(), //nolint:staticcheck // without server-side apply
		istio:     istiofake.NewSimpleClientset(),
		gateway:   gatewayfake.NewSimpleClientset(), //nolint:staticcheck // as above
		inference: inferencefake.NewSimpleClientset(),
		metadata:  metadatafake.NewSimpleMetadataClient(kube.FakeIstioScheme),
		informers: promptFactory{informerfactory.NewSharedInformerFactory()},
	}
	server.kube.PrependReactor("create", "subjectaccessreviews", server.mayReadSecrets)
	definitions := server.metadata.Resource(gvr.CustomResourceDefinition).(metadatafake.MetadataClient)
	for _, resource := range customResources() {
		_, err := definitions.CreateFake(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: resource.Resource + "." + resource.Group,
			// istiod passes over some kinds of the Gateway API if their CRD does not say how new it is.
			Annotations: map[string]string{consts.BundleVersionAnnotation: consts.BundleVersion},
		}}, metav1.CreateOptions{})
		must(err)
	}
	server.watcher = kube.NewCrdWatcher(server)
	return server
}

// customResources are the kinds whose informers wait for their CRD.
func customResources() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		gvr.AuthorizationPolicy, gvr.PeerAuthentication, gvr.WorkloadEntry, gvr.ServiceEntry,
		gvr.GatewayClass, gvr.KubernetesGateway, gvr.HTTPRoute, gvr.GRPCRoute, gvr.TCPRoute, gvr.TLSRoute,
		gvr.ReferenceGrant, gvr.ListenerSet, gvr.BackendTLSPolicy, gvr.XBackendTrafficPolicy,
	}
}

func (s *apiServer) Kube() kubernetes.Interface                     { return s.kube }
func (s *apiServer) Istio() istioclient.Interface                   { return s.istio }
func (s *apiServer) GatewayAPI() gatewayclient.Interface            { return s.gateway }
func (s *apiServer) GatewayAPIInference() inferenceclient.Interface { return s.inference }
func (s *apiServer) Metadata() metadata.Interface                   { return s.metadata }
func (s *apiServer) Informers() informerfactory.InformerFactory     { return s.informers }
func (s *apiServer) CrdWatcher() kubetypes.CrdWatcher               { return s.watcher }
func (s *apiServer) ObjectFilter() kubetypes.DynamicObjectFilter    { return s.filter }
func (s *apiServer) ClusterID() cluster.ID                          { return clusterID }
func (s *apiServer) RESTConfig() *rest.Config                       { return &rest.Config{Host: "memory"} }
func (s *apiServer) Ext() extclient.Interface                       { return extfake.NewSimpleClientset() }
func (s *apiServer) Dynamic() dynamic.Interface {
	if s.dynamic != nil {
		return s.dynamic
	}
	return dynamicfake.NewSimpleDynamicClient(kube.FakeIstioScheme)
}
func (s *apiServer) Shutdown()                             { s.informers.Shutdown() }
func (s *apiServer) IsWatchListSemanticsUnSupported() bool { return true }
func (s *apiServer) GetKubernetesVersion() (*kubeversion.Info, error) {
	return &kubeversion.Info{Major: "1", Minor: kubernetesMinor, GitVersion: "v1." + kubernetesMinor + ".0"}, nil
}

// RunAndWait starts the informers that were asked for since the last call.
func (s *apiServer) RunAndWait(stop <-chan struct{}) bool {
	s.informers.Start(stop)
	go s.watcher.Run(stop)
	return s.WaitForCacheSync("informers", stop, s.watcher.HasSynced) && s.informers.WaitForCacheSync(stop)
}

func (s *apiServer) WaitForCacheSync(name string, stop <-chan struct{}, synced ...cache.InformerSynced) bool {
	return kube.WaitForCacheSync(name, stop, synced...)
}
