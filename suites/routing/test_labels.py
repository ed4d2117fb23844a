"""Other labels of a pod that runs: subsets, Services and policies follow, and the pod goes on.

As Istio's TestLabelChanges does it, with a Sidecar and an AuthorizationPolicy besides.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.mesh

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: blue}
spec: {selector: {color: blue}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: app, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {containers: [{name: app, image: caller}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: blue, labels: {color: blue}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web, subset: blue}}]}]
"""
POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: blue}
spec:
  selector: {matchLabels: {color: blue}}
  action: DENY
  rules: [{to: [{operation: {paths: [/secret]}}]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: sad}
spec:
  workloadSelector: {labels: {mood: sad}}
  egress: [{hosts: [./blue.default.svc.cluster.local]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""
PAINTED = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, color: COLOR}}
spec: {containers: [{name: app, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller, mood: COLOR}}
spec: {containers: [{name: app, image: caller}]}
"""


@pytest.fixture(scope="module")
def running(meshtest_runtime: str) -> Iterator[Mesh]:
    with Mesh.from_manifests(MANIFESTS, runtime=meshtest_runtime) as made:
        yield made


@pytest.fixture
def mesh(running: Mesh) -> Mesh:
    running.replace()
    return running


def serials(mesh: Mesh) -> list[set[str]]:
    """The certificates of both sidecars: one that starts anew is given another."""
    shown = [json.loads(mesh.admin(pod, "/certs"))["certificates"] for pod in ("web", "caller")]
    return [{each["serial_number"] for one in found for each in one["cert_chain"]} for found in shown]


def test_a_subset_and_a_service_take_a_running_pod_in_and_let_it_go(mesh: Mesh) -> None:
    def statuses() -> list[int | None]:
        return [mesh.request("caller", f"http://{name}/").status for name in ("web", "blue")]

    assert statuses() == [503, 503]
    before = serials(mesh)
    mesh.apply(PAINTED.replace("COLOR", "blue"))
    assert statuses() == [200, 200]
    mesh.apply(PAINTED.replace("COLOR", "red"))
    assert statuses() == [503, 503]
    assert serials(mesh) == before
    assert all(before)


def test_policies_select_a_running_pod_by_the_labels_that_it_has(mesh: Mesh) -> None:
    address = next(pod.ip for pod in mesh.pods if pod.workload == "web")

    def called(path: str) -> int | None:
        return mesh.request("caller", f"http://{address}/{path}").status

    mesh.apply(POLICIES)
    before = serials(mesh)
    assert called("secret") == 200
    mesh.apply(PAINTED.replace("COLOR", "blue"))
    assert (called("secret"), called("open")) == (403, 200)
    mesh.apply(PAINTED.replace("COLOR", "sad"))
    assert (called("secret"), called("open")) == (502, 502)
    mesh.apply(PAINTED.replace("COLOR", "red"))
    assert (called("secret"), called("open")) == (200, 200)
    assert serials(mesh) == before
