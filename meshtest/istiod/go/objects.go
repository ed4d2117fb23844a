package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/kube"
)

// reference names an object.
type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

func (r reference) kind() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(r.APIVersion, r.Kind)
}

// key tells objects apart as the API server does: by group, not by version.
func (r reference) key() reference {
	group, _, found := strings.Cut(r.APIVersion, "/")
	if !found {
		group = ""
	}
	return reference{APIVersion: group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
}

func (r reference) isIstio() bool {
	return strings.HasSuffix(r.kind().Group, ".istio.io")
}

// isCustom tells custom resources, whose CRDs Istio and the Gateway API bring, from what every API server has.
func (r reference) isCustom() bool {
	group := r.kind().Group
	return r.isIstio() || group == gvk.KubernetesGateway.Group || group == gvk.XBackendTrafficPolicy.Group
}

// object is one object as it came, and as istiod takes it: one of config and kube is set.
type object struct {
	reference
	raw    json.RawMessage
	config *config.Config
	kube   runtime.Object
}

// rank orders kinds by what istiod has to know first.
func (o *object) rank() int {
	switch o.Kind {
	case "Namespace", "Node":
		return 0
	case "Service":
		return 1
	case "Pod":
		return 2
	default:
		return 3
	}
}

// metaOf reads an object's reference.
func metaOf(raw json.RawMessage) (reference, error) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return reference{}, err
	}
	return reference{head.APIVersion, head.Kind, head.Metadata.Namespace, head.Metadata.Name}, nil
}

// decode makes istiod's form of an object whose defaults are filled in.
func decode(ref reference, raw json.RawMessage) (*object, error) {
	made := &object{reference: ref, raw: raw}
	if ref.isIstio() {
		converted, err := istioConfig(ref, raw)
		if err != nil {
			return nil, err
		}
		made.config = converted
		if ref.Kind != "ServiceEntry" { // the Gateway API's controller reads these from the API server
			return made, nil
		}
	}
	decoded, _, err := kube.IstioCodec.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		return nil, err
	}
	made.kube = decoded
	return made, nil
}

// istioConfig is what istiod's own config client makes of a resource. Without the domain short host names would
// resolve to nothing.
func istioConfig(ref reference, raw json.RawMessage) (*config.Config, error) {
	kind := config.FromKubernetesGVK(ref.kind())
	found, ok := collections.PilotGatewayAPI().FindByGroupVersionAliasesKind(kind)
	if !ok {
		return nil, fmt.Errorf("istiod knows no kind %s of %s", ref.Kind, ref.APIVersion)
	}
	var parsed crd.IstioKind
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return nil, err
	}
	return crd.ConvertObject(found, &parsed, domain)
}

// set hands an object to istiod.
func (w *world) set(o *object) error {
	if o.kube != nil {
		// The fake API server keeps what it is given, and istiod's informers strip fields of what they hold.
		if err := w.client.set(o.kind(), o.kube.DeepCopyObject()); err != nil {
			return err
		}
	}
	if o.config == nil {
		return nil
	}
	given := *o.config
	if o.Kind == gvk.RequestAuthentication.Kind {
		given = given.DeepCopy() // the store's own is changed
	}
	var err error
	if w.store.Get(given.GroupVersionKind, o.Name, o.Namespace) == nil {
		_, err = w.store.Create(given)
	} else {
		_, err = w.store.Update(given)
	}
	return err
}

// unset takes an object away from istiod.
func (w *world) unset(o *object) error {
	if o.config != nil {
		if err := w.store.Delete(o.config.GroupVersionKind, o.Name, o.Namespace, nil); err != nil {
			return err
		}
	}
	if o.kube != nil {
		return w.client.unset(o.kind(), o.Namespace, o.Name)
	}
	return nil
}
