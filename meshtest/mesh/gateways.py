"""The gateways of a usual Istio installation, where manifests count on them and do not bring them.

A `Gateway` of Istio only selects pods: `istio: ingressgateway` means a Deployment of the installation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.fields import fields_of
from meshtest.mesh.gateway_api import is_gateway
from meshtest.mesh.injection import INJECT, TEMPLATES
from meshtest.mesh.manifests import manifests_of
from meshtest.mesh.model import ROOT_NAMESPACE
from meshtest.mesh.selectors import matches
from meshtest.mesh.yaml_source import documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.fields import Fields
    from meshtest.mesh.model import Manifest, Pod

USUAL = ("ingressgateway", "egressgateway")
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
"""


def usual_gateways(
    manifests: Iterable[Manifest], pods: Sequence[Pod], namespace: str = ROOT_NAMESPACE
) -> list[Manifest]:
    """The usual gateways that some Gateway selects, or names by their Service, and no pod answers to."""
    missing = [
        name
        for name in USUAL
        if any(_asks_for(manifest, name, namespace) for manifest in manifests)
        and not any(pod.labels.get("istio") == name for pod in pods)
    ]
    return [made for name in missing for made in _manifests(name, namespace)]


def _asks_for(manifest: Manifest, name: str, namespace: str) -> bool:
    if is_gateway(manifest):
        return _uses(fields_of(manifest).mapping("spec"), f"istio-{name}", namespace)
    if manifest.ref.kind != "Gateway" or not manifest.ref.api_version.startswith(GROUP):
        return False
    selector = fields_of(manifest).mapping("spec").texts("selector")
    return "istio" in selector and matches(selector, _labels(name))


def _uses(spec: Fields, service: str, namespace: str) -> bool:
    """Whether a Gateway of the Gateway API has no pods of its own, and names this Service's instead."""
    hosts = [one.text("value") for one in spec.items("addresses") if one.text("type") == "Hostname"]
    return any(host == service or host.startswith(f"{service}.{namespace}.") for host in hosts)


def _labels(name: str) -> Mapping[str, str]:
    return {"app": f"istio-{name}", "istio": name}


def _manifests(name: str, namespace: str) -> list[Manifest]:
    text = TEMPLATE % {"name": name, "namespace": namespace}
    return manifests_of(documents(text, f"<meshtest's own {name}>"))
