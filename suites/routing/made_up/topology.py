"""The mesh that is asked: callers with and without a sidecar, two versions of b, ports of every protocol, a gateway."""

from __future__ import annotations

WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {app}{labels}}}}}
  template:
    metadata:
      labels: {{app: {app}{labels}, sidecar.istio.io/inject: "{sidecar}"}}
    spec: {{serviceAccountName: {app}, containers: [{{name: app, image: app}}]}}
---"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {app}}}, ports: [{ports}]{more}}}
---"""
EDGE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: one}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
B = (
    "{name: http, port: 80, targetPort: 8080}, {name: any, port: 9100}, {name: tcp-raw, port: 9000},"
    " {name: http2, port: 7070}"
)
PLAIN = "{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000}"
C = "{name: http, port: 80, targetPort: 8080}, {name: http-more, port: 81, targetPort: 8081}"


def _workload(namespace: str, name: str, app: str, labels: str = "", sidecar: str = "true") -> str:
    return WORKLOAD.format(namespace=namespace, name=name, app=app, labels=labels, sidecar=sidecar)


def _service(namespace: str, name: str, app: str, ports: str, more: str = "") -> str:
    return SERVICE.format(namespace=namespace, name=name, app=app, ports=ports, more=more)


MESH = "".join(
    (
        _workload("one", "a", "a"),
        _workload("one", "b-v1", "b", ", version: v1"),
        _workload("one", "b-v2", "b", ", version: v2"),
        _workload("one", "plain", "plain", sidecar="false"),
        _workload("two", "c", "c"),
        _service("one", "b", "b", B),
        _service("one", "bare", "b", "{name: http, port: 8080}", ", clusterIP: None"),
        _service("one", "plain", "plain", PLAIN),
        _service("two", "c", "c", C),
        EDGE,
    )
)
CALLERS = ("one/a", "two/c", "one/plain", "one/b-v1")
HOSTS = ("b", "c.two.svc.cluster.local", "plain", "bare")
PATHS = (
    "/", "/a", "/a/", "/a/b", "/ab", "/A", "/a?x=1", "/a/b?x=2&y=1", "/a%2Fb", "/x/../a", "//a", "/%61", "/a/./b/c",
    "/a;v=1", "/b", "/b?x", "/b/a?x=1&x=2", "/1/b", "/1/2/b", "/a/%2e%2e/b", "/a#b", "/a/b|c", "/A%c3%a9",
)  # fmt: skip
METHODS = ("GET", "POST", "OPTIONS", "HEAD", "DELETE")
ACCOUNTS = ("a", "b", "c")
