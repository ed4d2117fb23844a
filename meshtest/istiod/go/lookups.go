package main

import (
	"fmt"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/schema/gvk"
	istiosecurity "istio.io/istio/pkg/config/security"
	"istio.io/istio/pkg/jwt"
)

// keySet is a rule of a RequestAuthentication as the user wrote it, before istiod's own fetching was stood in for.
type keySet struct{ uri, keys string }

// standInForFetches answers for the network where istiod would fetch key sets itself, which stays outside here. What it
// answers is what istiod goes on with after a failed fetch: a key that nobody has.
func (w *world) standInForFetches(context *model.PushContext) {
	before := w.keySets
	w.keySets = map[*security.JWTRule]keySet{}
	for _, policy := range w.store.List(gvk.RequestAuthentication, "") {
		for _, rule := range policy.Spec.(*security.RequestAuthentication).JwtRules {
			written, known := before[rule]
			if !known {
				written = keySet{rule.JwksUri, rule.Jwks}
			}
			w.keySets[rule] = written
			rule.JwksUri, rule.Jwks = written.uri, written.keys
			if fetches(context, written) {
				rule.JwksUri, rule.Jwks = "", model.PublicOnlyJwks
			}
		}
	}
}

// fetches tells whether istiod itself, not Envoy, would fetch a key set.
func fetches(context *model.PushContext, written keySet) bool {
	switch {
	case written.keys != "":
		return false
	case written.uri == "" || features.JwksFetchMode == jwt.Istiod:
		return true
	case features.JwksFetchMode == jwt.Hybrid:
		return missingHost(context, written.uri) != ""
	default:
		return false
	}
}

// missingHost is the host of a URI if no service of the mesh has that name.
func missingHost(context *model.PushContext, uri string) string {
	parsed, err := istiosecurity.ParseJwksURI(uri)
	if err != nil {
		return ""
	}
	if _, _, err := model.LookupCluster(context, parsed.Hostname.String(), parsed.Port); err != nil {
		return parsed.Hostname.String()
	}
	return ""
}

// unresolved says of policies whom they ask in vain.
func (e *engine) unresolved(objects []*object) []message {
	context := e.world.env.PushContext()
	var said []message
	for _, o := range objects {
		if o.config == nil {
			continue
		}
		switch spec := o.config.Spec.(type) {
		case *security.RequestAuthentication:
			said = append(said, say(o.reference, "warning", withoutKeys(context, spec))...)
		case *security.AuthorizationPolicy:
			if text := withoutProvider(context, e.mesh, spec); text != "" {
				found := []finding{{"provider", "spec.provider.name", text}}
				said = append(said, say(o.reference, "warning", found)...)
			}
		case *telemetry.Telemetry:
			said = append(said, say(o.reference, "warning", withoutReceiver(e.mesh, spec))...)
		}
	}
	return said
}

// withoutReceiver says which providers of a Telemetry are not there: istiod passes over them.
func withoutReceiver(mesh *meshconfig.MeshConfig, asked *telemetry.Telemetry) []finding {
	known := map[string]bool{}
	for _, provider := range mesh.ExtensionProviders {
		known[provider.Name] = true
	}
	var found []finding
	look := func(part string, i int, providers []*telemetry.ProviderRef) {
		for j, provider := range providers {
			if !known[provider.Name] {
				path := fmt.Sprintf("spec.%s[%d].providers[%d].name", part, i, j)
				text := fmt.Sprintf("MeshConfig has no extension provider %q, so nothing is sent to it", provider.Name)
				found = append(found, finding{"provider", path, text})
			}
		}
	}
	for i, each := range asked.AccessLogging {
		look("accessLogging", i, each.Providers)
	}
	for i, each := range asked.Tracing {
		look("tracing", i, each.Providers)
	}
	return found
}

func withoutKeys(context *model.PushContext, policy *security.RequestAuthentication) []finding {
	var found []finding
	for i, rule := range policy.JwtRules {
		written := keySet{rule.JwksUri, rule.Jwks}
		path := fmt.Sprintf("spec.jwtRules[%d]", i)
		if fetches(context, written) {
			text := "istiod itself would fetch the keys over the network, which it has not here: every token will be refused;" +
				" give them in jwks, or their server by jwksUri and a Service or ServiceEntry"
			found = append(found, finding{"keys", path, text})
		} else if host := missingHost(context, written.uri); written.keys == "" && host != "" {
			text := "no service of the mesh is called " + host + ": every token will be refused;" +
				" write its full name, or declare it by a ServiceEntry"
			found = append(found, finding{"keys", path + ".jwksUri", text})
		}
	}
	return found
}

// withoutProvider says why a CUSTOM policy cannot ask its provider; empty if it can.
func withoutProvider(context *model.PushContext, mesh *meshconfig.MeshConfig, policy *security.AuthorizationPolicy) string {
	if policy.Action != security.AuthorizationPolicy_CUSTOM {
		return ""
	}
	wanted := policy.GetProvider().GetName()
	for _, provider := range mesh.ExtensionProviders {
		if provider.Name != wanted {
			continue
		}
		service, port := provider.GetEnvoyExtAuthzHttp().GetService(), provider.GetEnvoyExtAuthzHttp().GetPort()
		if grpc := provider.GetEnvoyExtAuthzGrpc(); grpc != nil {
			service, port = grpc.Service, grpc.Port
		}
		if _, _, err := model.LookupCluster(context, service, int(port)); err != nil {
			return fmt.Sprintf("the provider's service is not in the mesh, so all that the policy matches is denied: %v", err)
		}
		return ""
	}
	return fmt.Sprintf("MeshConfig has no extension provider %q, so all that the policy matches is denied", wanted)
}
