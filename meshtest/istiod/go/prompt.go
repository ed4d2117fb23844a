package main

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"istio.io/istio/pkg/kube/informerfactory"
	"istio.io/istio/pkg/kube/kubetypes"
)

// promptFactory makes informers that do not keep a late handler waiting.
//
// When a krt collection first asks for another one, it registers a handler there, and holds its own lock until that
// has seen what exists, which it finds out with the help of a timer (krt's registerDependency). In a bubble no timer
// ends as long as anybody waits for a lock, so two such goroutines would wait for ever.
type promptFactory struct {
	informerfactory.InformerFactory
}

func (f promptFactory) InformerFor(
	resource schema.GroupVersionResource, options kubetypes.InformerOptions, made informerfactory.NewInformerFunc,
) informerfactory.StartableInformer {
	return f.InformerFactory.InformerFor(resource, options, func() cache.SharedIndexInformer {
		return promptInformer{made()}
	})
}

type promptInformer struct{ cache.SharedIndexInformer }

// AddEventHandler returns when the handler has seen everything that a running informer has.
func (i promptInformer) AddEventHandler(handler cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	registered, err := i.SharedIndexInformer.AddEventHandler(handler)
	if err == nil && i.HasSynced() {
		<-registered.HasSyncedChecker().Done()
	}
	return registered, err
}
