from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import RuntimeFailure
from meshtest.live.readiness import Readiness
from meshtest.mesh.model import Pod, PodKind
from meshtest.mesh.probes import EXEC, Probe
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POD = Pod(
    namespace="default", name="web-0", workload="web", workload_kind="Deployment", ip="10.0.0.1",
    kind=PodKind.SIDECAR, labels={}, ready=False,
)  # fmt: skip
QUICK = Probe(handler=EXEC, command=("ready",), period=0.01)
STARTED = replace(QUICK, command=("started",))


class Mesh:
    """A mesh of one pod, as far as readiness goes: what its probes say, and who it was told is ready."""

    def __init__(self, readiness: Probe | None = QUICK, startup: Probe | None = None) -> None:
        self.said = {"ready": "no", "started": "not yet"}
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self._probes = readiness, startup
        self.readiness = Readiness(self._ask, self._tell)
        self.ready = False
        self.watch()

    def _ask(self, pod: Pod, probe: Probe) -> str:
        assert pod == POD
        self.asked.append(probe.command[0])
        return self.said[probe.command[0]]

    def _tell(self) -> None:
        if self.fault:
            raise self.fault
        self.watch()

    def watch(self) -> None:
        self.ready = not self.readiness.not_ready([(POD, *self._probes)])
        self.readiness.watch({POD.key: (replace(POD, ready=self.ready), *self._probes)})

    def probes(self, number: int) -> None:
        """Return when so many more probes have been made."""
        wanted = len(self.asked) + number
        wait_until(lambda: len(self.asked) >= wanted, 10, lambda: f"only {self.asked}")


@pytest.fixture
def mesh_of() -> Iterator[Callable[..., Mesh]]:
    made: list[Mesh] = []

    def of(*probes: Probe | None) -> Mesh:
        made.append(Mesh(*probes))
        return made[-1]

    yield of
    for each in made:
        each.readiness.close()


def test_ready_after_the_first_success(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of()
    mesh.probes(3)
    assert not mesh.ready
    mesh.said["ready"] = ""
    mesh.readiness.wait([POD.key], 10)
    assert mesh.ready
    assert mesh.readiness.flips == 1


def test_several_successes_in_a_row(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of(replace(QUICK, successes=3))
    mesh.said["ready"] = ""
    mesh.readiness.wait([POD.key], 10)
    assert len(mesh.asked) >= 3


def test_not_ready_after_several_failures_in_a_row_and_ready_again(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of(replace(QUICK, failures=4))
    mesh.said["ready"] = ""
    mesh.readiness.wait([POD.key], 10)
    mesh.said["ready"] = "no"
    before = len(mesh.asked)
    wait_until(lambda: not mesh.ready, 10, lambda: "it is still ready")
    assert len(mesh.asked) - before >= 3  # one may have been under way
    mesh.said["ready"] = ""
    mesh.readiness.wait([POD.key], 10)
    assert mesh.readiness.flips == 3


def test_the_startup_probe_comes_first(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of(QUICK, STARTED)
    mesh.said["ready"] = ""
    mesh.probes(3)
    assert set(mesh.asked) == {"started"}
    with pytest.raises(RuntimeFailure, match=r"its startup probe \(started\) fails: not yet"):
        mesh.readiness.wait([POD.key], 0.05)
    mesh.said["started"] = ""
    mesh.readiness.wait([POD.key], 10)
    assert mesh.asked[-1] == "ready"


def test_a_startup_probe_alone(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of(None, STARTED)
    mesh.probes(2)
    assert not mesh.ready
    mesh.said["started"] = ""
    mesh.readiness.wait([POD.key], 10)
    assert mesh.ready


def test_who_does_not_get_ready_is_said_with_the_reason(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of()
    with pytest.raises(RuntimeFailure) as error:
        mesh.readiness.wait([POD.key], 0.3)
    assert str(error.value) == "after 0.3 s: not ready:\ndefault/web-0: its readiness probe (ready) fails: no"


def test_the_first_probe_waits_for_the_initial_delay(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of(replace(QUICK, initial_delay=60))
    with pytest.raises(RuntimeFailure, match="fails: not probed yet"):
        mesh.readiness.wait([POD.key], -59.9)
    assert mesh.asked == []


def test_what_fails_while_the_mesh_is_told_is_raised_by_whoever_waits(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of()
    mesh.fault = RuntimeFailure("no engine")
    mesh.said["ready"] = ""
    with pytest.raises(RuntimeFailure, match="no engine"):
        mesh.readiness.wait([POD.key], 10)


def test_another_pod_of_the_same_name_is_not_ready(mesh_of: Callable[..., Mesh]) -> None:
    mesh = mesh_of()
    mesh.said["ready"] = ""
    mesh.readiness.wait([POD.key], 10)
    other = replace(POD, labels={"version": "v2"})
    assert mesh.readiness.not_ready([(other, QUICK, None)]) == {POD.key}
