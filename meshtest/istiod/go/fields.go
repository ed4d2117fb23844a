package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

// meshConfig is the name under which MeshConfig, which is no object, is asked for.
const meshConfig = "MeshConfig"

// fields names every field that a kind has, as `spec.http[].route[].weight`: from the CRDs, from Kubernetes' own
// types, or, for MeshConfig, from its protobuf descriptor. What a list has is behind `[]`, what a map has behind `{}`.
// Metadata and status are left out: all objects have the one, and nobody writes the other.
func (j *judge) fields(kind metav1.TypeMeta) ([]string, error) {
	found := &fieldList{}
	if kind.Kind == meshConfig {
		found.ofMessage("", (&meshconfig.MeshConfig{}).ProtoReflect().Descriptor(), nil)
		return found.paths, nil
	}
	if (reference{APIVersion: kind.APIVersion}).isCustom() {
		custom, err := j.customs.find(kind.GroupVersionKind())
		if err != nil {
			return nil, err
		}
		if custom != nil {
			found.ofSchema("", custom.structural)
			return found.paths, nil
		}
	} else if object, err := scheme.Scheme.New(kind.GroupVersionKind()); err == nil {
		found.ofType("", reflect.TypeOf(object).Elem(), nil)
		return found.paths, nil
	}
	return nil, &failure{Kind: "Request", Message: fmt.Sprintf("no kind %s in %s", kind.Kind, kind.APIVersion)}
}

// fieldList are the paths of the leaves, in the order of their declaration where there is one.
type fieldList struct{ paths []string }

func (l *fieldList) add(path string) { l.paths = append(l.paths, path) }

// ofSchema adds what a CRD has.
func (l *fieldList) ofSchema(path string, node *structural.Structural) {
	switch {
	case node.Items != nil:
		l.ofSchema(path+"[]", node.Items)
	case node.AdditionalProperties != nil && node.AdditionalProperties.Structural != nil && len(node.Properties) == 0:
		l.ofSchema(path+"{}", node.AdditionalProperties.Structural)
	case len(node.Properties) == 0:
		l.add(path)
	default:
		for _, name := range slices.Sorted(maps.Keys(node.Properties)) {
			if child := node.Properties[name]; path != "" || !isCommon(name) {
				l.ofSchema(below(path, name), &child)
			}
		}
	}
}

var leaves = []reflect.Type{
	reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime](), reflect.TypeFor[metav1.ObjectMeta](),
	reflect.TypeFor[metav1.FieldsV1](), reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[resource.Quantity](),
}

// ofType adds what a type of Kubernetes' own has; a type within itself is a leaf.
func (l *fieldList) ofType(path string, kind reflect.Type, above []reflect.Type) {
	switch kind.Kind() {
	case reflect.Pointer:
		l.ofType(path, kind.Elem(), above)
	case reflect.Slice:
		if kind.Elem().Kind() == reflect.Uint8 {
			l.add(path)
		} else {
			l.ofType(path+"[]", kind.Elem(), above)
		}
	case reflect.Map:
		l.ofType(path+"{}", kind.Elem(), above)
	case reflect.Struct:
		if slices.Contains(leaves, kind) || slices.Contains(above, kind) {
			l.add(path)
			return
		}
		for i := range kind.NumField() {
			field := kind.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case name == "" && field.Anonymous && field.Type != reflect.TypeFor[metav1.TypeMeta]():
				l.ofType(path, field.Type, append(above, kind))
			case name != "" && name != "-" && (path != "" || !isCommon(name)):
				l.ofType(below(path, name), field.Type, append(above, kind))
			}
		}
	default:
		l.add(path)
	}
}

// ofMessage adds what a message of Istio's API has; well-known types, and a message within itself, are leaves.
func (l *fieldList) ofMessage(path string, kind protoreflect.MessageDescriptor, above []protoreflect.FullName) {
	known := strings.HasPrefix(string(kind.FullName()), "google.protobuf.")
	if known || slices.Contains(above, kind.FullName()) || kind.Fields().Len() == 0 {
		l.add(path)
		return
	}
	above = append(above, kind.FullName())
	for i := range kind.Fields().Len() {
		field := kind.Fields().Get(i)
		place := below(path, field.JSONName())
		switch {
		case field.IsMap():
			place += "{}"
			field = field.MapValue()
		case field.IsList():
			place += "[]"
		}
		if field.Message() == nil {
			l.add(place)
		} else {
			l.ofMessage(place, field.Message(), above)
		}
	}
}

func isCommon(name string) bool {
	return name == "metadata" || name == "status" || name == "apiVersion" || name == "kind"
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// allFields answers for several kinds.
func (j *judge) allFields(kinds []metav1.TypeMeta) (map[string][]string, error) {
	found := map[string][]string{}
	for _, kind := range kinds {
		paths, err := j.fields(kind)
		if err != nil {
			return nil, err
		}
		found[kind.APIVersion+" "+kind.Kind] = paths
	}
	return found, nil
}
