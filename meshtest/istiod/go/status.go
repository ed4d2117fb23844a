package main

import (
	"sync"

	"istio.io/istio/pilot/pkg/config/kube/gateway"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/status"
	"istio.io/istio/pkg/config"
)

// statusObject is an object's status as istiod's controllers would write it to the API server.
type statusObject struct {
	reference
	Status any `json:"status"`
}

// statusStore takes what istiod writes; of the objects themselves the writer asks only that they exist.
type statusStore struct {
	model.ConfigStore
	mutex   sync.Mutex
	written map[reference]statusObject
}

func (s *statusStore) Get(kind config.GroupVersionKind, name, namespace string) *config.Config {
	return &config.Config{Meta: config.Meta{GroupVersionKind: kind, Name: name, Namespace: namespace}}
}

func (s *statusStore) UpdateStatus(written config.Config) (string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	ref := reference{
		APIVersion: written.GroupVersionKind.Kubernetes().GroupVersion().String(), Kind: written.GroupVersionKind.Kind,
		Namespace: written.Namespace, Name: written.Name,
	}
	s.written[ref.key()] = statusObject{ref, written.Status}
	return "", nil
}

// status has the Gateway API's controller write all its conditions, once.
func (e *engine) status() []statusObject {
	controller := e.world.env.GatewayAPIController.(*gateway.Controller)
	store := &statusStore{ConfigStore: e.world.store, written: map[reference]statusObject{}}
	controller.SetStatusWrite(true, status.NewManager(store))
	settle()
	controller.SetStatusWrite(false, nil)
	found := []statusObject{}
	for _, o := range store.written {
		if _, ok := e.objects[o.key()]; ok { // not istiod's own GatewayClasses
			found = append(found, o)
		}
	}
	return found
}
