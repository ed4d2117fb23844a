"""The gateways of a usual Istio installation, where manifests count on them and do not bring them.

A `Gateway` of Istio only selects pods: `istio: ingressgateway` means a Deployment of the installation, and so does an
Ingress.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.fields import fields_of
from meshtest.mesh.gateway_api import is_gateway
from meshtest.mesh.ingresses import is_ingress
from meshtest.mesh.injection import INJECT, TEMPLATES
from meshtest.mesh.manifests import identity, manifests_of
from meshtest.mesh.model import ROOT_NAMESPACE
from meshtest.mesh.selectors import matches
from meshtest.mesh.yaml_source import documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import Manifest, Pod

INGRESS = "ingressgateway"
USUAL = (INGRESS, "egressgateway")
OFFERED = frozenset((15021, 80, 443))
PROTOCOLS = frozenset(("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TLS", "TCP", "MONGO", "MYSQL", "REDIS"))
GROUP = "networking.istio.io/"
TEMPLATE = f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{namespace: %(namespace)s, name: istio-%(name)s-service-account}}
---
apiVersion: v1
kind: Service
metadata:
  namespace: %(namespace)s
  name: istio-%(name)s
  labels: {{app: istio-%(name)s, istio: %(name)s}}
spec:
  type: LoadBalancer
  selector: {{app: istio-%(name)s, istio: %(name)s}}
  ports:
  - {{name: status-port, port: 15021, targetPort: 15021}}
  - {{name: http2, port: 80, targetPort: 8080}}
  - {{name: https, port: 443, targetPort: 8443}}
%(ports)s
---
apiVersion: apps/v1
kind: Deployment
metadata:
  namespace: %(namespace)s
  name: istio-%(name)s
  labels: {{app: istio-%(name)s, istio: %(name)s}}
spec:
  selector:
    matchLabels: {{app: istio-%(name)s, istio: %(name)s}}
  template:
    metadata:
      labels: {{app: istio-%(name)s, istio: %(name)s, {INJECT}: "true"}}
      annotations: {{{TEMPLATES}: gateway}}
    spec:
      serviceAccountName: istio-%(name)s-service-account
      containers:
      - name: istio-proxy
        image: auto
        ports: [{{containerPort: 15021}}, {{containerPort: 8080}}, {{containerPort: 8443}}]
        volumeMounts:
        - {{name: certs, mountPath: /etc/istio/%(name)s-certs}}
        - {{name: ca-certs, mountPath: /etc/istio/%(name)s-ca-certs}}
      volumes:
      - {{name: certs, secret: {{secretName: istio-%(name)s-certs, optional: true}}}}
      - {{name: ca-certs, secret: {{secretName: istio-%(name)s-ca-certs, optional: true}}}}
"""


def usual_gateways(
    manifests: Sequence[Manifest], pods: Sequence[Pod], namespace: str = ROOT_NAMESPACE
) -> list[Manifest]:
    """The usual gateways that some Gateway or Ingress selects, or names by their Service, and no pod answers to.

    What the manifests bring of one, such as its Service, stays theirs.
    """
    given = {identity(manifest.ref) for manifest in manifests}
    found: list[Manifest] = []
    for name in USUAL:
        asking = [manifest for manifest in manifests if _asks_for(manifest, name, namespace)]
        if asking and not any(pod.labels.get("istio") == name for pod in pods):
            found += _manifests(name, namespace, _ports(asking))
    return [manifest for manifest in found if identity(manifest.ref) not in given]


def _asks_for(manifest: Manifest, name: str, namespace: str) -> bool:
    if is_gateway(manifest):
        return _uses(fields_of(manifest).mapping("spec"), f"istio-{name}", namespace)
    if is_ingress(manifest):
        return name == INGRESS
    if manifest.ref.kind != "Gateway" or not manifest.ref.api_version.startswith(GROUP):
        return False
    selector = fields_of(manifest).mapping("spec").texts("selector")
    return bool(selector) and matches(selector, _labels(name))


def _ports(asking: Iterable[Manifest]) -> dict[int, str]:
    """The further ports that the Service has to offer, and what is spoken there: whoever uses them would add them."""
    found: dict[int, str] = {}
    for manifest in asking:
        spec = fields_of(manifest).mapping("spec")
        ports = [server.mapping("port") for server in spec.items("servers")]
        for number, protocol in [
            *((port.whole("number", 0), port.text("protocol")) for port in ports),
            *((one.whole("port", 0), one.text("protocol")) for one in spec.items("listeners")),
        ]:
            if number and number not in OFFERED:
                found.setdefault(number, protocol.lower() if protocol.upper() in PROTOCOLS else "tcp")
    return found


def _uses(spec: Fields, service: str, namespace: str) -> bool:
    """Whether a Gateway of the Gateway API has no pods of its own, and names this Service's instead."""
    hosts = [one.text("value") for one in spec.items("addresses") if one.text("type") == "Hostname"]
    return any(host == service or host.startswith(f"{service}.{namespace}.") for host in hosts)


def _labels(name: str) -> Mapping[str, str]:
    return {"app": f"istio-{name}", "istio": name}


def _manifests(name: str, namespace: str, ports: Mapping[int, str]) -> list[Manifest]:
    lines = [
        f"  - {{name: {protocol}-{number}, port: {number}, targetPort: {number}}}"
        for number, protocol in ports.items()
    ]
    text = TEMPLATE % {"name": name, "namespace": namespace, "ports": "\n".join(lines)}
    return manifests_of(documents(text, f"<meshtest's own {name}>"))
