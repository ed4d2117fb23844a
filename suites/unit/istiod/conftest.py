"""A small cluster in plain objects, and engines to tell it to."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.istiod.binary import find_or_build
from meshtest.istiod.engine import Engine, Object, Update
from meshtest.mesh.model import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CREATED = "2026-01-01T00:00:00Z"
State = dict[str, dict[tuple[str, str], bytes]]


def make(api_version: str, kind: str, name: str, spec: object, *, namespace: str = "default") -> Object:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": CREATED}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


@dataclass
class Cluster:
    """Workloads with a Service each, as meshtest's model would tell of them."""

    objects: list[Object] = field(default_factory=list)
    proxies: list[dict[str, Any]] = field(default_factory=list)
    services: int = 0

    def workload(self, name: str, version: str = "v1") -> None:
        number = len(self.proxies) + 1
        ip = f"10.244.0.{number}"
        labels = {"app": name, "version": version, "security.istio.io/tlsMode": "istio"}
        pod = make("v1", "Pod", f"{name}-{version}-0", {"serviceAccountName": name, "containers": []})
        pod["metadata"]["labels"] = labels
        pod["status"] = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self.objects.append(pod)
        self.proxies.append(
            {
                "id": f"sidecar~{ip}~{name}-{version}-0.default~default.svc.cluster.local",
                "ip": ip,
                "namespace": "default",
                "labels": labels,
                "serviceAccount": name,
                "cluster": f"{name}.default",
                "metadata": {},
                "locality": "",
            }
        )

    def service(self, name: str, *, selects: str | None = None, port: int = 80) -> list[Object]:
        self.services += 1
        address = f"10.96.0.{self.services}"
        spec = {
            "clusterIP": address,
            "clusterIPs": [address],
            "selector": {"app": selects or name},
            "ports": [{"name": "http", "port": port, "targetPort": 8080}],
        }
        return [make("v1", "Service", name, spec), self.endpoints(name, selects=selects)]

    def endpoints(self, name: str, *, selects: str | None = None, ready: int = 99) -> Object:
        pods = [body for body in self.objects if body["kind"] == "Pod"]
        pods = [pod for pod in pods if pod["metadata"]["labels"]["app"] == (selects or name)]
        slices = make("discovery.k8s.io/v1", "EndpointSlice", name, None)
        del slices["spec"]
        slices["metadata"]["labels"] = {"kubernetes.io/service-name": name}
        return {
            **slices,
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {
                    "addresses": [pod["status"]["podIP"]],
                    "conditions": {"ready": number < ready},
                    "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": "default"},
                }
                for number, pod in enumerate(pods)
            ],
        }


@pytest.fixture
def cluster() -> Cluster:
    """`front` calls `back`, of which there are two versions."""
    made = Cluster()
    made.workload("front")
    made.workload("back")
    made.workload("back", "v2")
    made.objects += made.service("front") + made.service("back")
    return made


@pytest.fixture(scope="session")
def binary() -> Path:
    return find_or_build(print)


@pytest.fixture
def start(binary: Path) -> Iterator[Callable[..., Engine]]:
    """Start engines that end with the test."""
    with ExitStack() as stack:

        def one(**switches: str) -> Engine:
            engine = Engine.start(binary, env=switches)
            stack.callback(engine.close)
            return engine

        yield one


@dataclass
class Told:
    """An engine and all it has answered and accepted."""

    engine: Engine
    state: State = field(default_factory=dict)
    objects: dict[ObjectRef, Object] = field(default_factory=dict)
    proxies: list[dict[str, Any]] = field(default_factory=list)

    def update(
        self,
        *changed: Object,
        gone: tuple[Object, ...] = (),
        proxies: list[dict[str, Any]] | None = None,
        mesh_config: str | None = None,
    ) -> Update:
        update = self.engine.update(
            set=changed, delete=[ref_of(body) for body in gone], proxies=proxies, mesh_config=mesh_config
        )
        self.proxies = self.proxies if proxies is None else proxies
        self.objects.update({ref_of(body): copy.deepcopy(body) for body in changed})
        for body in gone:
            del self.objects[ref_of(body)]
        for name, change in update.header["proxies"].items():
            resources = self.state.setdefault(name, {})
            for kind, resource, offset, size in change["set"]:
                resources[kind, resource] = update.payload[offset : offset + size]
            for kind, resource in change["removed"]:
                del resources[kind, resource]
        for name in set(self.state) - {proxy["id"] for proxy in self.proxies}:
            del self.state[name]
        return update


def ref_of(body: Object) -> ObjectRef:
    metadata = body["metadata"]
    return ObjectRef(
        api_version=body["apiVersion"],
        kind=body["kind"],
        namespace=metadata["namespace"],
        name=metadata["name"],
    )


@pytest.fixture
def told(start: Callable[[], Engine], cluster: Cluster) -> Told:
    """An engine that knows the cluster."""
    made = Told(start())
    made.update(*cluster.objects, proxies=cluster.proxies)
    return made


@pytest.fixture
def fresh(start: Callable[[], Engine]) -> Callable[[Told], State]:
    """What a new engine answers that is told at once what another was told bit by bit."""

    def answer(told: Told) -> State:
        other = Told(start())
        other.update(*told.objects.values(), proxies=told.proxies)
        return other.state

    return answer
