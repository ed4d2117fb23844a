package main

import (
	"fmt"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

// tracker is the part of client-go's fake clientsets that holds objects and tells watchers.
type tracker interface {
	Tracker() clienttesting.ObjectTracker
}

// newClient is a Kubernetes API server in memory that has the CRDs of Istio and the Gateway API installed.
func newClient() kube.Client {
	client := kube.NewFakeClientWithVersion("33")
	crds := client.Metadata().(*metadatafake.FakeMetadataClient).Resource(gvr.CustomResourceDefinition).(metadatafake.MetadataClient)
	for _, resource := range crdResources() {
		_, err := crds.CreateFake(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:        resource.Resource + "." + resource.Group,
			Annotations: map[string]string{consts.BundleVersionAnnotation: consts.BundleVersion},
		}}, metav1.CreateOptions{})
		must(err)
	}
	return client
}

// crdResources are the kinds whose informers wait for their CRD.
func crdResources() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		gvr.AuthorizationPolicy, gvr.PeerAuthentication, gvr.WorkloadEntry, gvr.ServiceEntry,
		gvr.GatewayClass, gvr.KubernetesGateway, gvr.HTTPRoute, gvr.GRPCRoute, gvr.TCPRoute, gvr.TLSRoute,
		gvr.ReferenceGrant, gvr.ListenerSet, gvr.BackendTLSPolicy, gvr.XBackendTrafficPolicy,
	}
}

func (w *world) trackerOf(group string) clienttesting.ObjectTracker {
	switch group {
	case gvk.KubernetesGateway.Group, gvk.XBackendTrafficPolicy.Group:
		return w.client.GatewayAPI().(tracker).Tracker()
	case gvk.ServiceEntry.Group:
		return w.client.Istio().(tracker).Tracker()
	default:
		return w.client.Kube().(tracker).Tracker()
	}
}

// resourceOf names the collection of a kind as the informers do.
func resourceOf(kind schema.GroupVersionKind) schema.GroupVersionResource {
	resource, ok := gvk.ToGVR(config.FromKubernetesGVK(kind))
	if !ok {
		resource, _ = meta.UnsafeGuessKindToResource(kind)
	}
	if resource.Group == "core" {
		resource.Group = ""
	}
	return resource
}

// setKube creates or replaces an object of the API server.
func (w *world) setKube(kind schema.GroupVersionKind, object runtime.Object) error {
	resource, tracker := resourceOf(kind), w.trackerOf(kind.Group)
	namespace := object.(metav1.Object).GetNamespace()
	err := tracker.Create(resource, object, namespace)
	if kerrors.IsAlreadyExists(err) {
		err = tracker.Update(resource, object, namespace)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

func (w *world) deleteKube(kind schema.GroupVersionKind, namespace, name string) error {
	err := w.trackerOf(kind.Group).Delete(resourceOf(kind), namespace, name)
	if kerrors.IsNotFound(err) {
		return nil
	}
	return err
}
