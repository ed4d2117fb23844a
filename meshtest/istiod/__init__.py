"""The istiod engine: objects in, Envoy resources per proxy out; `go/` is its Go half."""
