package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-multierror"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"
	strictjson "sigs.k8s.io/json"

	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/validation"
	"istio.io/istio/pkg/ptr"
)

// judge says of objects what a cluster with Istio would say when they are applied to it.
//
//	unknown fields, types, defaults, CEL rules ──► metadata ──► istiod's admission ──► istiod's form of the object
type judge struct {
	customs customKinds
	core    kruntime.Decoder
}

func newJudge() *judge {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
	return &judge{core: strict.UniversalDeserializer()}
}

// admit returns istiod's form of an object with its defaults, nil if it is refused, and what is to be said about it.
func (j *judge) admit(ref reference, raw json.RawMessage) (*object, []message) {
	if ref.isCustom() {
		return j.admitCustom(ref, raw)
	}
	decoded, _, err := j.core.Decode(raw, nil, nil)
	if err != nil {
		return nil, say(ref, "error", decodeFindings(err))
	}
	setDefaults(decoded)
	found := append(j.judgeMetadata(raw, ref.Namespace != ""), judgeIngress(decoded)...)
	if len(found) > 0 {
		return nil, say(ref, "error", found)
	}
	return &object{reference: ref, raw: raw, kube: decoded}, nil
}

// admitAll judges objects on all processors; both answers are in the order of the objects.
func (j *judge) admitAll(objects []json.RawMessage) ([]*object, []message) {
	made := make([]*object, len(objects))
	messages := make([][]message, len(objects))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(objects)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(objects)); i = next.Add(1) - 1 {
				made[i], messages[i] = j.admitSafely(objects[i])
			}
		})
	}
	workers.Wait()
	return slices.DeleteFunc(made, func(o *object) bool { return o == nil }), slices.Concat(messages...)
}

// admitSafely takes a panic of istiod's checks, which happen on odd input, for a refusal.
func (j *judge) admitSafely(raw json.RawMessage) (made *object, messages []message) {
	ref, err := metaOf(raw)
	defer func() {
		if recovered := recover(); recovered != nil {
			made, messages = nil, say(ref, "error", []finding{{"panic", "", fmt.Sprintf("istiod's checks panicked: %v", recovered)}})
		}
	}()
	if err != nil {
		return nil, say(ref, "error", []finding{{"decode", "", err.Error()}})
	}
	return j.admit(ref, raw)
}

// prepare gets the kinds ready that a request is about.
func (j *judge) prepare(request []byte) {
	var wanted struct {
		Set []metav1.TypeMeta `json:"set"`
	}
	if json.Unmarshal(request, &wanted) != nil {
		return // its answer will say so
	}
	for _, kind := range wanted.Set {
		_, _ = j.customs.find(kind.GroupVersionKind())
	}
}

func (j *judge) admitCustom(ref reference, raw json.RawMessage) (*object, []message) {
	kind, err := j.customs.find(ref.kind())
	if err != nil {
		return nil, say(ref, "error", []finding{{"decode", "", err.Error()}})
	}
	if kind == nil {
		text := fmt.Sprintf("no matches for kind %q in version %q", ref.Kind, ref.APIVersion)
		return nil, say(ref, "error", []finding{{"unknown-kind", "", text}})
	}
	content := map[string]any{}
	if err := strictjson.UnmarshalCaseSensitivePreserveInts(raw, &content); err != nil {
		return nil, say(ref, "error", []finding{{"decode", "", err.Error()}})
	}
	found := kind.judge(content)
	found = append(found, j.judgeMetadata(raw, kind.namespaced)...)
	if found != nil {
		return nil, say(ref, "error", found)
	}
	ref.APIVersion = servedVersion(ref)
	content["apiVersion"] = ref.APIVersion
	complete, err := json.Marshal(content)
	if err != nil {
		return nil, say(ref, "error", []finding{{"decode", "", err.Error()}})
	}
	made, err := decode(ref, complete)
	if err != nil {
		return nil, say(ref, "error", []finding{{"decode", "", err.Error()}})
	}
	made.raw = raw
	warnings, err := admission(made.config)
	messages := append(say(ref, "error", admissionFindings(err)), say(ref, "warning", admissionFindings(warnings))...)
	if err != nil {
		return nil, messages
	}
	return made, messages
}

// servedVersion is the version in which istiod reads a kind; the API server converts, and all versions of Istio's and
// the Gateway API's kinds have the same fields.
func servedVersion(ref reference) string {
	kind := config.FromKubernetesGVK(ref.kind())
	for _, known := range collections.PilotGatewayAPI().All() {
		if known.Group() == kind.Group && known.Kind() == kind.Kind {
			return known.APIVersion()
		}
	}
	return ref.APIVersion
}

// admission is istiod's validating webhook, which sees Istio's kinds only.
func admission(made *config.Config) (warnings, err error) {
	if made == nil {
		return nil, nil
	}
	found, ok := collections.PilotGatewayAPI().FindByGroupVersionKind(made.GroupVersionKind)
	if !ok {
		return nil, fmt.Errorf("unrecognized type %v", made.GroupVersionKind)
	}
	return found.ValidateConfig(*made)
}

func admissionFindings(err error) []finding {
	if err == nil {
		return nil
	}
	var several *multierror.Error
	if !errors.As(err, &several) {
		return []finding{admissionFinding(err)}
	}
	var found []finding
	for _, one := range several.WrappedErrors() {
		found = append(found, admissionFinding(one))
	}
	return found
}

// admissionFinding names what istioctl's analyzers have a code for by that code.
func admissionFinding(err error) finding {
	var known *validation.AnalysisAwareError
	if errors.As(err, &known) {
		if code, ok := analyzerCodes[known.Type]; ok {
			return finding{code, "", err.Error()}
		}
	}
	return finding{"admission", "", err.Error()}
}

var analyzerCodes = map[string]string{
	"VirtualServiceUnreachableRule":  "IST0130",
	"VirtualServiceIneffectiveMatch": "IST0131",
}

// judgeMetadata checks what every object has.
func (j *judge) judgeMetadata(raw json.RawMessage, namespaced bool) []finding {
	var whole struct {
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil || whole.Metadata == nil {
		return []finding{{"decode", "metadata", "an object needs metadata"}}
	}
	meta := metav1.ObjectMeta{}
	strict, err := strictjson.UnmarshalStrict(whole.Metadata, &meta)
	if err != nil {
		return []finding{{"decode", "metadata", err.Error()}}
	}
	var found []finding
	for _, problem := range strict {
		for _, one := range decodeFindings(problem) {
			one.path = strings.TrimSuffix("metadata."+one.path, ".")
			found = append(found, one)
		}
	}
	return append(found, findings("metadata", apivalidation.ValidateObjectMeta(
		&meta, namespaced, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata")))...)
}

var (
	unknownField = regexp.MustCompile(`(unknown|duplicate) field "([^"]+)"`)
	wrongType    = regexp.MustCompile(`Go struct field \w+\.(\S+) of type`)
)

// decodeFindings takes a decoder's error apart.
func decodeFindings(err error) []finding {
	if strict, ok := kruntime.AsStrictDecodingError(err); ok {
		var found []finding
		for _, one := range strict.Errors() {
			found = append(found, decodeFindings(one)...)
		}
		return found
	}
	if kruntime.IsNotRegisteredError(err) {
		return []finding{{"unknown-kind", "", err.Error()}}
	}
	if match := unknownField.FindStringSubmatch(err.Error()); match != nil {
		return []finding{{match[1] + "-field", match[2], match[1] + " field"}}
	}
	path := ""
	if match := wrongType.FindStringSubmatch(err.Error()); match != nil {
		path = match[1]
	}
	return []finding{{"decode", path, err.Error()}}
}

func say(ref reference, level string, found []finding) []message {
	var messages []message
	for _, one := range found {
		messages = append(messages, message{Level: level, Code: one.code, Object: ref, Path: one.path, Message: one.text})
	}
	return messages
}

// setDefaults fills in of the API server's defaults for core kinds those that istiod relies on.
func setDefaults(decoded kruntime.Object) {
	switch o := decoded.(type) {
	case *corev1.Service:
		for i := range o.Spec.Ports {
			port := &o.Spec.Ports[i]
			if port.Protocol == "" {
				port.Protocol = corev1.ProtocolTCP
			}
			if port.TargetPort == (intstr.IntOrString{}) {
				port.TargetPort = intstr.FromInt32(port.Port)
			}
		}
	case *discoveryv1.EndpointSlice:
		for i := range o.Ports {
			port := &o.Ports[i]
			if port.Name == nil {
				port.Name = ptr.Of("")
			}
			if port.Protocol == nil {
				port.Protocol = ptr.Of(corev1.ProtocolTCP)
			}
		}
		for i := range o.Endpoints {
			setEndpointDefaults(&o.Endpoints[i].Conditions)
		}
	}
}

// setEndpointDefaults says what the API says that absent conditions mean; istiod takes an endpoint that is not ready and
// does not say that it is not terminating for one that is.
func setEndpointDefaults(conditions *discoveryv1.EndpointConditions) {
	if conditions.Ready == nil {
		conditions.Ready = ptr.Of(true)
	}
	if conditions.Serving == nil {
		conditions.Serving = ptr.Of(*conditions.Ready)
	}
	if conditions.Terminating == nil {
		conditions.Terminating = ptr.Of(false)
	}
}
