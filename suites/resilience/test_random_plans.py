"""After any plan of faults the mesh is as a fresh one: configuration, rules, processes, names, answers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshtest import Mesh, faults
from meshtest.errors import ScenarioError, Unsupported
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.scenario.faults import FaultSpec

BOOKINFO = Path(__file__).parents[2] / "fixtures" / "bookinfo"
PLANS = int(os.environ.get("MESHTEST_FAULT_PLANS", "20"))
WORKLOADS = ("details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews")
RESOLVE = "import socket, sys; print([socket.gethostbyname(name) for name in sys.argv[1:]])"
CHANGES_BY_ITSELF = {"last_updated", "version_info"}


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    try:
        started = Mesh.from_manifests(str(BOOKINFO), seed=1)
    except Unsupported as exc:
        pytest.skip(str(exc))
    with started:
        yield started


def during() -> st.SearchStrategy[Any]:
    times = st.tuples(st.sampled_from([0.0, 0.05, 0.1]), st.sampled_from([0.05, 0.1, 0.3, None]))
    return st.none() | times


def plans() -> st.SearchStrategy[list[FaultSpec]]:
    to, part = st.sampled_from(WORKLOADS), st.sampled_from(["application", "sidecar"])
    some = {"to": to, "part": part, "during": during()}
    processes = [st.builds(make, **some) for make in (faults.kill, faults.stop, faults.pause, faults.restart)]
    share = st.sampled_from([5, 50, 100])
    packets = [
        st.builds(faults.loss, to=to, percentage=share, during=during()),
        st.builds(faults.partition, to, st.sampled_from([None, "productpage-v1"]), one_way=st.booleans()),
    ]
    names = [
        st.builds(
            faults.dns,
            to=st.sampled_from(["reviews", "ratings"]),
            nxdomain=st.just(value=True),
            during=during(),
        ),
        st.builds(faults.dns, to=st.just("reviews"), address=st.just("10.0.0.9"), delay=st.just(0.05)),
    ]
    requests = [
        st.builds(faults.abort, to=to, percentage=share, during=during()),
        st.builds(faults.delay, to=to, fixed_delay=st.just(0.05), first=st.just(5)),
    ]
    return st.lists(st.one_of(*processes, *packets, *names, *requests), min_size=1, max_size=4)


def plain(value: Any) -> Any:
    """Without what counts up from one start of an Envoy to the next."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key not in CHANGES_BY_ITSELF}
    if isinstance(value, list):
        return sorted((plain(each) for each in value), key=_text)
    return value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def state(mesh: Mesh) -> dict[str, Any]:
    sandbox = mesh._sandbox
    found: dict[str, Any] = {"rules": sandbox.rules(), "processes": processes(sandbox._launcher._process.pid)}  # type: ignore[attr-defined]  # netns
    for pod in mesh.pods:
        if pod.has_envoy:
            found[f"served to {pod.key}"] = json.loads(
                sandbox.control_plane.call("dump", timeout=10, proxy=pod.node_id).payload
            )
            shown = json.loads(mesh.admin(pod.key, "/config_dump"))["configs"]
            found[f"used by {pod.key}"] = plain([one for one in shown if "Bootstrap" not in one["@type"]])
    services = [service.name for service in mesh.services]
    found["names"] = mesh.execute("productpage-v1", ["python3", "-c", RESOLVE, *services]).stdout
    return found


def processes(root: int) -> list[str]:
    """What runs below a process, by name, and whether it stands still."""
    children: dict[int, list[tuple[int, str]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        stands = " stands still" if rest[0] in {"T", "t"} else ""
        children.setdefault(int(rest[1]), []).append((int(path.parent.name), name + stands))
    found, waiting = [], [root]
    while waiting:
        for pid, name in children.get(waiting.pop(), []):
            found.append(name)
            waiting.append(pid)
    return sorted(found)


class Fresh:
    """What was found before the first fault; Hypothesis is spared its text."""

    def __init__(self, mesh: Mesh) -> None:
        work(mesh)
        self.state = state(mesh)

    def differences(self, mesh: Mesh) -> list[str]:
        now = state(mesh)
        return [f"{key}: {_first(was, now[key])}" for key, was in self.state.items() if now[key] != was]


def _first(was: Any, now: Any) -> str:
    """The first place where two texts part."""
    old, new = _text(was), _text(now)
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f"...{old[max(0, at - 300) : at + 200]} became ...{new[max(0, at - 20) : at + 200]}"


@pytest.fixture(scope="module")
def fresh(mesh: Mesh) -> Fresh:
    return Fresh(mesh)


def work(mesh: Mesh, *, within: float = 0.0) -> None:
    """Every service answers, at the latest after a while."""
    wait_until(lambda: not failures(mesh), within, lambda: f"still failing: {failures(mesh)}")


def failures(mesh: Mesh) -> list[str]:
    found = []
    for service in ("details", "ratings", "reviews"):
        history = mesh.send("productpage-v1", f"http://{service}:9080/", requests=6, concurrency=2, timeout=3)
        found += [
            f"{service} {each.status} {each.outcome.value}"
            for each in history.exchanges
            if each.status != 200
        ]
    return found


def leaves_dead_connections(plan: list[FaultSpec]) -> bool:
    """Whether a process may have ended while its peers could not be told; they learn it from their next request."""
    kinds = {fault.kind for fault in plan}
    return bool(kinds & {"loss", "partition"} and kinds & {"kill", "stop", "restart"})


@settings(
    max_examples=PLANS, deadline=None, database=None, derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(plan=plans())
def test_after_any_plan_the_mesh_is_as_a_fresh_one(mesh: Mesh, fresh: Fresh, plan: list[FaultSpec]) -> None:
    mesh.begin(1)
    try:
        with mesh.inject(*plan):
            mesh.send("productpage-v1", "http://reviews:9080/", rate=100, duration=0.25, timeout=0.4)
    except ScenarioError as exc:
        assert "cannot be under both" in str(exc)  # noqa: PT017 - most plans are good
    else:
        assert len(mesh.fault_windows) == len(plan)
    work(mesh, within=5.0 if leaves_dead_connections(plan) else 0.0)
    differences = fresh.differences(mesh)
    assert not differences, differences[0]
