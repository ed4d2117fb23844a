package main

import (
	"cmp"
	"maps"
	"slices"
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

// status has the controllers of the Gateway API and of Ingresses write all that they say, once.
func (e *engine) status() []statusObject {
	store := &statusStore{ConfigStore: e.world.store, written: map[reference]statusObject{}}
	writers := []interface{ SetStatusWrite(bool, *status.Manager) }{e.world.env.GatewayAPIController.(*gateway.Controller)}
	if e.world.ingresses != nil {
		writers = append(writers, e.world.ingresses)
	}
	for _, writer := range writers {
		writer.SetStatusWrite(true, status.NewManager(store))
	}
	settle()
	for _, writer := range writers {
		writer.SetStatusWrite(false, nil)
	}
	found := []statusObject{}
	for _, key := range sortedRefs(store.written) {
		if _, ok := e.objects[key]; ok { // not istiod's own GatewayClasses
			found = append(found, store.written[key])
		}
	}
	return found
}

func sortedRefs(written map[reference]statusObject) []reference {
	return slices.SortedFunc(maps.Keys(written), func(a, b reference) int {
		return cmp.Or(
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.APIVersion, b.APIVersion))
	})
}
