"""Sandboxes for the tests of the runtime, with tiny roles instead of meshtest's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.mesh.model import Backend, Pod, PodKind
from meshtest.runtime.base import Interception, NetworkPlan, PodPlan, Role, SandboxPlan
from meshtest.runtime.netns.runtime import NetnsRuntime
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshtest.runtime.netns.sandbox import NetnsSandbox

TIMEOUT = 20.0
ROLES = Path(__file__).parent / "roles"


@pytest.fixture(scope="session")
def runtime() -> NetnsRuntime:
    found = NetnsRuntime()
    problem = found.missing()
    if problem is not None:
        pytest.skip(problem)
    return found


class Bench:
    """Makes plans, starts sandboxes and asks their driver."""

    def __init__(self, runtime: NetnsRuntime) -> None:
        self.runtime = runtime
        self.started: list[NetnsSandbox] = []

    def pod(self, name: str, number: int, **fields: Any) -> PodPlan:
        """A pod at 10.244.0.NUMBER that answers on port 9080 with its name and its caller's address."""
        kind = PodKind.SIDECAR if fields.get("bootstrap") else PodKind.PLAIN
        pod = Pod(
            namespace="default",
            name=name,
            workload=name,
            workload_kind="Deployment",
            ip=f"10.244.0.{number}",
            kind=kind,
            labels={},
        )
        defaults: dict[str, Any] = {
            "application": Role(target="netns_roles:echo", config={"name": name, "port": 9080}),
            "bootstrap": None,
            "interception": Interception() if fields.get("bootstrap") else None,
        }
        return PodPlan(pod=pod, **{**defaults, **fields})

    def plan(self, *pods: PodPlan, network: NetworkPlan | None = None, **fields: Any) -> SandboxPlan:
        defaults: dict[str, Any] = {
            "control_plane": Role(target="netns_roles:control_plane", config={"directory": "/run/meshtest"}),
            "driver": Role(target="netns_roles:driver"),
            "envoy": "/nowhere/envoy",
        }
        empty = NetworkPlan(cluster_ips={}, zone={})
        return SandboxPlan(pods=pods, network=network or empty, **{**defaults, **fields})

    def services(self, **numbers: Sequence[int]) -> NetworkPlan:
        """Services on port 80, at 10.96.1.1, .2 and so on, before pods at 10.244.0.NUMBER."""
        ips = {name: f"10.96.1.{place}" for place, name in enumerate(numbers, 1)}
        backends = {
            name: [Backend(ip=f"10.244.0.{number}", port=9080) for number in found]
            for name, found in numbers.items()
        }
        return NetworkPlan(
            cluster_ips={ips[name]: {80: backends[name]} for name in numbers},
            zone={f"{name}.default.svc.cluster.local": [ips[name]] for name in numbers},
        )

    def start(
        self, *pods: PodPlan, on_access: Callable[[str, bytes], None] = lambda *_: None, **fields: Any
    ) -> NetnsSandbox:
        """Start a sandbox and wait until it is ready; it is closed after the test."""
        sandbox = self.runtime.start(self.plan(*pods, **fields), on_access)
        self.started.append(sandbox)
        sandbox.ready(TIMEOUT)
        return sandbox

    def ask(self, op: str, pod: str = "default/a", **fields: Any) -> dict[str, Any]:
        """Ask the driver of the sandbox started last."""
        return self.started[-1].driver.call(op, timeout=TIMEOUT, pod=pod, **fields).header

    def call(self, ip: str, port: int = 9080, pod: str = "default/a", **fields: Any) -> str:
        """Connect from a pod, and return what was answered or how it failed."""
        answer = self.ask("connect", pod, ip=ip, port=port, **fields)
        return str(answer.get("answer", answer.get("failed")))


@pytest.fixture
def bench(runtime: NetnsRuntime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.syspath_prepend(str(ROLES))
    bench = Bench(runtime)
    yield bench
    for sandbox in bench.started:
        sandbox.close()


@pytest.fixture
def envoy() -> str:
    for folder in sys.path:
        binary = Path(folder) / "envoy" / "_bin" / "envoy"
        if binary.exists():
            return str(binary)
    pytest.skip("no Envoy installed")


class Family:
    """A process and everything below it, as the host sees it."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.members = {root, *self._below(root)}

    def named(self, name: str) -> int:
        """The member that calls itself so."""
        return min(pid for pid in self.members if _comm(pid) == name)

    def alive(self) -> list[str]:
        """Those still there; a zombie that its own parent has not collected yet is gone for good."""
        return [f"{pid} {_comm(pid)}" for pid in self.members if _state(pid) not in {"", "Z"}]

    def gone(self) -> bool:
        wait_until(lambda: not self.alive(), 5.0, lambda: f"still alive: {self.alive()}")
        return True

    @staticmethod
    def _below(root: int) -> set[int]:
        parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
        found: set[int] = set()
        while more := {pid for pid, parent in parents.items() if parent in {root, *found}} - found:
            found |= more
        return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["", "0"]


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


PARENT = """
import importlib.util, sys
sys.path[:0] = {path!r}
spec = importlib.util.spec_from_file_location("bench", {conftest!r})
bench = importlib.util.module_from_spec(spec)
sys.modules["bench"] = bench
spec.loader.exec_module(bench)
from meshtest.runtime.netns.runtime import NetnsRuntime
it = bench.Bench(NetnsRuntime())
it.start(it.pod("a", 2), it.pod("b", 3))
print(it.call("10.244.0.3"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def parent(runtime: NetnsRuntime) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has a sandbox with two pods, as pytest would."""
    del runtime
    path = [str(ROLES), *sys.path]
    program = PARENT.format(path=path, conftest=__file__)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"b 10.244.0.2\n"
        yield process
        process.kill()


@pytest.fixture
def family(parent: subprocess.Popen[bytes]) -> Family:
    return Family(parent.pid)


@pytest.fixture
def family_of() -> Callable[[], Family]:
    """The processes below this one."""
    return lambda: Family(os.getpid())
