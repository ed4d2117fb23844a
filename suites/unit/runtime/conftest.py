"""Sandboxes for the tests of the runtime, with tiny roles instead of meshtest's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.mesh.model import Backend, Pod, PodKind
from meshtest.runtime.base import Command, Interception, NetworkPlan, PodPlan, Role, SandboxPlan
from meshtest.runtime.netns.runtime import NetnsRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshtest.runtime.netns.sandbox import NetnsSandbox

    Start = Callable[..., NetnsSandbox]

TIMEOUT = 20.0


@pytest.fixture(scope="session")
def runtime() -> NetnsRuntime:
    found = NetnsRuntime()
    problem = found.missing()
    if problem is not None:
        pytest.skip(problem)
    return found


@pytest.fixture
def roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "roles"))


def envoy_binary() -> str:
    for folder in sys.path:
        binary = Path(folder) / "envoy" / "_bin" / "envoy"
        if binary.exists():
            return str(binary)
    pytest.skip("no Envoy installed")


def pod_plan(name: str, ip: str, **fields: Any) -> PodPlan:
    kind = PodKind.SIDECAR if fields.get("bootstrap") else PodKind.PLAIN
    pod = Pod(
        namespace="default", name=name, workload=name, workload_kind="Deployment", ip=ip, kind=kind, labels={}
    )
    defaults: dict[str, Any] = {
        "application": Role(target="netns_roles:echo", config={"name": name, "port": 9080}),
        "bootstrap": None,
        "interception": Interception() if fields.get("bootstrap") else None,
    }
    return PodPlan(pod=pod, **{**defaults, **fields})


def sandbox_plan(pods: Sequence[PodPlan], *, network: NetworkPlan | None = None, **fields: Any) -> SandboxPlan:
    defaults: dict[str, Any] = {
        "control_plane": Role(target="netns_roles:control_plane", config={"directory": "/run/meshtest"}),
        "driver": Role(target="netns_roles:driver"),
        "envoy": "/nowhere/envoy",
    }
    empty = NetworkPlan(cluster_ips={}, zone={})
    return SandboxPlan(pods=pods, network=network or empty, **{**defaults, **fields})


def services(**backends: Sequence[str]) -> NetworkPlan:
    """Services on port 80, in order at 10.96.1.1 and so on, whose pods listen on 9080."""
    ips = {name: f"10.96.1.{number}" for number, name in enumerate(backends, 1)}
    return NetworkPlan(
        cluster_ips={ips[name]: {80: [Backend(ip=ip, port=9080) for ip in found]} for name, found in backends.items()},
        zone={f"{name}.default.svc.cluster.local": [ips[name]] for name in backends},
    )


@pytest.fixture
def start(runtime: NetnsRuntime, roles: None) -> Iterator[Start]:
    """Start sandboxes, wait until they are ready, and close them after the test."""
    del roles
    started: list[NetnsSandbox] = []

    def run(plan: SandboxPlan, on_access: Callable[[str, bytes], None] = lambda *_: None) -> NetnsSandbox:
        sandbox = runtime.start(plan, on_access)
        started.append(sandbox)
        sandbox.ready(TIMEOUT)
        return sandbox

    yield run
    for sandbox in started:
        sandbox.close()


def ask(sandbox: NetnsSandbox, op: str, pod: str = "default/a", **fields: Any) -> dict[str, Any]:
    return sandbox.driver.call(op, timeout=TIMEOUT, pod=pod, **fields).header


def command(*argv: str, **env: str) -> Command:
    return Command(argv=argv, env=env)
