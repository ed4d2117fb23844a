package main

import (
	"bytes"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocol "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	clienttesting "k8s.io/client-go/testing"

	"istio.io/istio/pilot/pkg/model/credentials"
	"istio.io/istio/pkg/util/sets"
)

// credentialURIs begin the names of secrets that istiod serves itself; all others are the agent's.
var credentialURIs = [][]byte{
	[]byte(credentials.KubernetesSecretTypeURI), []byte(credentials.KubernetesGatewaySecretType + "://"),
	[]byte(credentials.KubernetesConfigMapTypeURI),
}

// refersToSecrets saves most clusters and listeners, which do not, from being searched.
func refersToSecrets(blob []byte) bool {
	for _, uri := range credentialURIs {
		if bytes.Contains(blob, uri) {
			return true
		}
	}
	return false
}

// secretsOf are the names of secrets that TLS contexts want from istiod.
func secretsOf(sockets []*core.TransportSocket) ([]string, error) {
	var names []string
	for _, socket := range sockets {
		context, err := tlsOf(socket)
		if err != nil {
			return nil, err
		}
		wanted := append([]*tls.SdsSecretConfig{
			context.GetValidationContextSdsSecretConfig(),
			context.GetCombinedValidationContext().GetValidationContextSdsSecretConfig(),
		}, context.GetTlsCertificateSdsSecretConfigs()...)
		for _, one := range wanted {
			if one.GetSdsConfig().GetAds() != nil {
				names = append(names, one.Name)
			}
		}
	}
	return names, nil
}

// tlsOf is the TLS of a transport socket, nil if it has none.
func tlsOf(socket *core.TransportSocket) (*tls.CommonTlsContext, error) {
	config := socket.GetTypedConfig()
	switch {
	case config.MessageIs(&tls.DownstreamTlsContext{}):
		context := &tls.DownstreamTlsContext{}
		err := config.UnmarshalTo(context)
		return context.GetCommonTlsContext(), err
	case config.MessageIs(&tls.UpstreamTlsContext{}):
		context := &tls.UpstreamTlsContext{}
		err := config.UnmarshalTo(context)
		return context.GetCommonTlsContext(), err
	case config.MessageIs(&proxyprotocol.ProxyProtocolUpstreamTransport{}):
		outer := &proxyprotocol.ProxyProtocolUpstreamTransport{}
		if err := config.UnmarshalTo(outer); err != nil {
			return nil, err
		}
		return tlsOf(outer.GetTransportSocket())
	}
	return nil, nil
}

// mayReadSecrets answers istiod's question whether a service account may list the secrets of a namespace.
func (s *apiServer) mayReadSecrets(action clienttesting.Action) (bool, runtime.Object, error) {
	review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
	review.Status.Allowed = s.readers.Contains(review.Spec.User)
	return true, review, nil
}

// permit has other service accounts read secrets from now on, and istiod forget what it was answered: it remembers that for
// five minutes at most (pilot/pkg/credentials/kube, cacheTTL).
func (w *world) permit(proxies map[string]*proxy) {
	readers := sets.New[string]()
	for _, p := range proxies {
		if p.readsSecrets {
			readers.Insert(serviceaccount.MakeUsername(p.node.VerifiedIdentity.Namespace, p.node.VerifiedIdentity.ServiceAccount))
		}
	}
	if before := w.client.readers; before != nil && !readers.Equals(before) {
		time.Sleep(6 * time.Minute)
	}
	w.client.readers = readers
}
