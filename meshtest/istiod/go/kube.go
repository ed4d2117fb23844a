package main

import (
	"fmt"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gvk"
)

// tracker is the part of client-go's fake clientsets that holds the objects of a group and tells watchers.
func (s *apiServer) tracker(group string) clienttesting.ObjectTracker {
	switch group {
	case gvk.KubernetesGateway.Group, gvk.XBackendTrafficPolicy.Group:
		return s.gateway.Tracker()
	case gvk.ServiceEntry.Group:
		return s.istio.Tracker()
	default:
		return s.kube.Tracker()
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

// set creates or replaces an object.
func (s *apiServer) set(kind schema.GroupVersionKind, object runtime.Object) error {
	resource, tracker := resourceOf(kind), s.tracker(kind.Group)
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

func (s *apiServer) unset(kind schema.GroupVersionKind, namespace, name string) error {
	err := s.tracker(kind.Group).Delete(resourceOf(kind), namespace, name)
	if kerrors.IsNotFound(err) {
		return nil
	}
	return err
}
