package main

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
)

// judgeIngress says of what the API server says of an Ingress that which istiod would take for something else.
func judgeIngress(decoded kruntime.Object) []finding {
	ingress, ok := decoded.(*networkingv1.Ingress)
	if !ok {
		return nil
	}
	var found []finding
	if ingress.Spec.DefaultBackend == nil && len(ingress.Spec.Rules) == 0 {
		found = append(found, finding{"schema", "spec", "either `defaultBackend` or `rules` must be specified"})
	}
	for i, rule := range ingress.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for k, path := range rule.HTTP.Paths {
			at := fmt.Sprintf("spec.rules[%d].http.paths[%d]", i, k)
			switch {
			case path.PathType == nil:
				found = append(found, finding{"schema", at + ".pathType", "Required value: pathType must be specified"})
			case *path.PathType != networkingv1.PathTypeImplementationSpecific && !strings.HasPrefix(path.Path, "/"):
				found = append(found, finding{"schema", at + ".path", fmt.Sprintf("Invalid value: %q: must be an absolute path", path.Path)})
			}
			if (path.Backend.Service == nil) == (path.Backend.Resource == nil) {
				found = append(found, finding{"schema", at + ".backend", "Invalid value: one of service and resource must be specified"})
			}
		}
	}
	return found
}
