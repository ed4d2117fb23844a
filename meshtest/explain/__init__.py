"""What Envoy will do with a request, read from the configuration that istiod made; no pod is started."""
