"""A pod of a user's image gets traffic only while its readiness probe succeeds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.live.mesh import Mesh
from meshtest.live.readiness import Readiness
from meshtest.scenario.images import ImageSpec
from meshtest.waiting import wait_until
from suites.unit.two import EXAMPLE_IMAGE, FRONT, SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = (
    SERVICE
    + """
apiVersion: apps/v1
kind: Deployment
metadata: {name: back}
spec:
  replicas: 2
  selector: {matchLabels: {app: back}}
  template:
    metadata: {labels: {app: back}}
    spec:
      containers:
      - name: back
        image: IMAGE
        ports: [{containerPort: 8080, name: web}]
        env: [{name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {PROBE, periodSeconds: 1, failureThreshold: 2}
""".replace("IMAGE", EXAMPLE_IMAGE)
    + FRONT
)
FILE = MANIFEST.replace("PROBE", "exec: {command: [test, '!', -e, /tmp/ill]}")
ALL = {"back-0", "back-1"}

HEALTH = """
import concurrent.futures, grpc, time
class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        said = lambda asked, context: b"\\x08\\x01" if asked == b"\\x0a\\x04shop" else b"\\x08\\x02"
        return grpc.unary_unary_rpc_method_handler(said)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Handler(),))
server.add_insecure_port("0.0.0.0:8080")
server.start()
server.wait_for_termination()
"""


def of_many(*probes: str) -> str:
    """Workloads b0, b1, ... with a probe each, of one replica."""
    _, back, front = MANIFEST.replace("replicas: 2", "replicas: 1").split("---")
    return "---".join(
        [*(back.replace("PROBE", probe).replace("back", f"b{n}") for n, probe in enumerate(probes)), front]
    )


def answering(mesh: Mesh) -> set[str]:
    sent = mesh.send("front", "http://back/env/ME", requests=20).exchanges
    assert {each.status for each in sent} == {200}
    return {each.body.decode() for each in sent}


def ill(mesh: Mesh) -> set[str]:
    return {pod.name for pod in mesh.pods if not pod.ready}


@pytest.fixture(scope="module")
def mesh(example: str) -> Iterator[Mesh]:
    del example  # the manifest names it
    with Mesh.from_manifests(FILE, runtime="docker", images={"back": "manifest"}) as found:
        yield found


def test_a_pod_whose_probe_fails_gets_no_traffic_until_it_succeeds_again(mesh: Mesh) -> None:
    assert answering(mesh) == ALL
    mesh.execute("default/back-0", ["touch", "/tmp/ill"])
    try:
        wait_until(lambda: ill(mesh) == {"back-0"}, 60, lambda: f"not ready: {ill(mesh)}", step=0.05)
        assert answering(mesh) == {"back-1"}
    finally:
        mesh.execute("default/back-0", ["rm", "/tmp/ill"])
    wait_until(lambda: not ill(mesh), 60, lambda: f"not ready: {ill(mesh)}", step=0.05)
    assert answering(mesh) == ALL


def test_replicas_that_come_later_are_ready_when_apply_returns(mesh: Mesh) -> None:
    mesh.apply(FILE.replace("replicas: 2", "replicas: 3"))
    assert answering(mesh) == {*ALL, "back-2"}
    mesh.replace()
    assert answering(mesh) == ALL


EXEC = """exec: {command: [python3, -c, 'import urllib.request as u; u.urlopen("http://127.0.0.1:8080")']}"""


def test_every_kind_of_probe_and_a_scenario_that_says_better(example: str) -> None:
    grpc = ImageSpec(image=example, command=("python3", "-c", HEALTH))
    ports = ImageSpec(image=example, ready_ports=(8080,))
    text = of_many(
        "httpGet: {path: /env/ME, port: web}",
        "tcpSocket: {port: 8080}",
        EXEC,
        "grpc: {port: 8080, service: shop}",
        "tcpSocket: {port: 9999}",
    )
    images: dict[str, ImageSpec | str] = {
        "b0": example,
        "b1": example,
        "b2": example,
        "b3": grpc,
        "b4": ports,
    }
    with Mesh.from_manifests(text, runtime="docker", images=images) as mesh:
        assert all(pod.ready for pod in mesh.pods)


FAILING = {
    "httpGet: {path: /file/none, port: web}": r"\(HTTP GET /file/none on port 8080\) fails: .",
    "tcpSocket: {port: 9999}": r"\(a connection to port 9999\) fails: .*refused",
    "exec: {command: [sh, -c, echo no database; exit 3]}": r"\(sh -c .*\) fails: it ended with 3: no database",
    "grpc: {port: 8080, service: other}": r"\(gRPC health of 'other' on port 8080\) fails: it does not say SERVING",
    "grpc: {port: 9999}": r"\(gRPC health on port 9999\) fails: .*refused",
}


def test_applications_that_never_get_ready_say_why(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = Readiness.wait
    monkeypatch.setattr(Readiness, "wait", lambda self, keys, _: wait(self, keys, 5))
    images: dict[str, ImageSpec | str] = {f"b{number}": example for number in range(len(FAILING))}
    images["b3"] = ImageSpec(image=example, command=("python3", "-c", HEALTH))
    with pytest.raises(RuntimeFailure) as error:
        Mesh.from_manifests(of_many(*FAILING), runtime="docker", images=images)
    for number, said in enumerate(FAILING.values()):
        assert re.search(rf"default/b{number}-0: its readiness probe {said}", str(error.value)), str(
            error.value
        )
