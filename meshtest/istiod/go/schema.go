package main

import (
	"context"
	"embed"
	"encoding/json"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// crds are the schemas of all custom resources, written by crdgen at build time.
//
//go:embed crds
var crds embed.FS

// customKind judges the custom resources of one kind and version as the API server does.
type customKind struct {
	namespaced bool
	structural *schema.Structural
	validator  validation.SchemaCreateValidator
	rules      *cel.Validator
}

// customKinds makes them when they are first asked for: compiling a kind's rules takes milliseconds.
type customKinds struct {
	mutex sync.Mutex
	known map[runtimeschema.GroupVersionKind]func() (*customKind, error)
}

// find returns nil if a cluster with the CRDs of Istio and the Gateway API would not know the kind.
func (c *customKinds) find(kind runtimeschema.GroupVersionKind) (*customKind, error) {
	c.mutex.Lock()
	if c.known == nil {
		c.known = map[runtimeschema.GroupVersionKind]func() (*customKind, error){}
	}
	load, ok := c.known[kind]
	if !ok {
		load = sync.OnceValues(func() (*customKind, error) { return loadKind(kind) })
		c.known[kind] = load
	}
	c.mutex.Unlock()
	return load()
}

func loadKind(kind runtimeschema.GroupVersionKind) (*customKind, error) {
	text, err := crds.ReadFile("crds/" + strings.Join([]string{kind.Group, kind.Version, kind.Kind}, "_") + ".json")
	if err != nil {
		return nil, nil //nolint:nilerr // no such file: no such kind
	}
	var stored struct {
		Namespaced bool                             `json:"namespaced"`
		Schema     *apiextensionsv1.JSONSchemaProps `json:"schema"`
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, err
	}
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(stored.Schema, internal, nil); err != nil {
		return nil, err
	}
	made := &customKind{namespaced: stored.Namespaced}
	if made.structural, err = schema.NewStructural(internal); err != nil {
		return nil, err
	}
	if made.validator, _, err = validation.NewSchemaValidator(internal); err != nil {
		return nil, err
	}
	made.rules = cel.NewValidator(made.structural, true, celconfig.PerCallLimit)
	return made, nil
}

// finding is a message before it is known which object it is about.
type finding struct{ code, path, text string }

// judge fills in defaults and says what is wrong, in the API server's order: what has the wrong shape is not
// measured by the rules.
func (k *customKind) judge(object map[string]any) []finding {
	unknown := pruning.PruneWithOptions(
		runtime.DeepCopyJSON(object), k.structural, false, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	var found []finding
	for _, path := range unknown {
		if !strings.HasPrefix(path, "metadata.") { // judged as metadata
			found = append(found, finding{"unknown-field", path, "unknown field"})
		}
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, k.structural)
	defaulting.Default(object, k.structural)
	errors := validation.ValidateCustomResource(nil, object, k.validator)
	errors = append(errors, listtype.ValidateListSetsAndMaps(nil, k.structural, object)...)
	found = append(found, findings("schema", errors)...)
	if len(errors) == 0 && k.rules != nil {
		errors, _ = k.rules.Validate(context.Background(), nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
		found = append(found, findings("cel", errors)...)
	}
	return found
}

func findings(code string, errors field.ErrorList) []finding {
	var found []finding
	for _, err := range errors {
		path := strings.TrimPrefix(err.Field, "<nil>")
		found = append(found, finding{code, path, err.ErrorBody()})
	}
	return found
}
