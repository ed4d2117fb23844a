"""What a mesh of containers does as on netns: interception, mTLS, faults of processes, packets and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import Mesh, faults
from meshtest.runtime.abilities import LosesPackets, Misnames
from meshtest.runtime.base import Action, Lost, NameFault, Part
from meshtest.runtime.docker import containers
from meshtest.traffic.model import Outcome
from meshtest.waiting import wait_until

if TYPE_CHECKING:
    from meshtest.runtime.docker.client import Daemon

URL = "http://back/"
FRONT, BACK = "default/front-0", "default/back-0"


def test_sidecars_intercept_and_speak_mtls(two: Mesh) -> None:
    one = two.request("front", URL)
    assert one.status == 200
    inbound = next(hop for hop in one.hops if hop.side == "inbound")
    assert inbound.peer == "spiffe://cluster.local/ns/default/sa/default"
    assert inbound.tls == "TLSv1.3"


def test_a_name_that_is_none_is_said_at_once(two: Mesh) -> None:
    one = two.request("front", "http://nobody.example/")
    assert one.outcome is Outcome.UNRESOLVED
    assert one.latency < 1


def test_nothing_reaches_the_outside(two: Mesh) -> None:
    one = two.request("front", "http://192.0.2.1/")
    assert one.status == 503
    assert one.latency < 2  # refused, and not a timeout


def test_programs_run_inside_the_pod(two: Mesh) -> None:
    done = two.execute("front", ["python3", "-c", "import os; print(os.environ['POD_NAME'])"], timeout=20)
    assert (done.returncode, done.stdout) == (0, "front-0\n")


def test_nothing_is_compiled_when_a_process_starts(two: Mesh) -> None:
    """Nothing compiled can be kept there, so each would do it again; the base has its standard library as source."""
    done = two.execute("front", ["python3", "-v", "-c", "import meshtest.standin.service"], timeout=20)
    assert done.returncode == 0
    assert "meshtest/standin/service.py" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("# code object from /")] == []


@pytest.mark.parametrize("part", list(Part), ids=[part.value for part in Part])
def test_a_half_that_was_killed_starts_again(two: Mesh, part: Part) -> None:
    two.signal("back", part, Action.KILL)
    assert two.request("front", URL).status == 503
    two.signal("back", part, Action.START)
    if part is Part.SIDECAR:
        two._control._channel.call("ready", timeout=20)
    assert two.request("front", URL).status == 200


@pytest.mark.parametrize("part", list(Part), ids=[part.value for part in Part])
def test_a_half_that_is_paused_answers_later(two: Mesh, part: Part) -> None:
    two.signal("back", part, Action.PAUSE)
    try:
        assert two.request("front", URL, timeout=0.5).outcome is Outcome.TIMEOUT
    finally:
        two.signal("back", part, Action.RESUME)
    assert two.request("front", URL).status == 200


def test_packets_get_lost_and_are_counted(two: Mesh) -> None:
    sandbox = two._sandbox
    assert isinstance(sandbox, LosesPackets)
    back = next(pod for pod in two.pods if pod.key == BACK)
    sandbox.lose("f1", [Lost(destination=back.ip)])
    try:
        assert two.request("front", URL, timeout=0.7).outcome is Outcome.TIMEOUT
        assert sandbox.lost("f1") > 0
    finally:
        assert sandbox.restore("f1") > 0
    assert two.request("front", URL).status == 200


def test_names_go_wrong_and_right_again(two: Mesh) -> None:
    sandbox = two._sandbox
    assert isinstance(sandbox, Misnames)
    sandbox.misname("n1", NameFault(names=("back.default.svc.cluster.local",), code="NXDOMAIN"))
    try:
        assert two.request("front", URL).outcome is Outcome.UNRESOLVED
        assert sandbox.misnamed("n1") > 0
    finally:
        sandbox.misname("n1", None)
    assert two.request("front", URL).status == 200


def test_a_pod_forgets_closed_connections_soon(two: Mesh) -> None:
    """Else the kernel gives a later connection from the same port another port, and no log line is found by it."""
    state = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait"
    assert two.execute("front", ["cat", state]).stdout == "10\n"


def test_a_kernel_that_cannot_forget_sooner_runs_pods_all_the_same(
    daemon: Daemon, two_manifests: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del daemon
    monkeypatch.setattr(containers, "FORGETFUL", {"net.netfilter.nf_conntrack_nonsense": "1"})
    with Mesh.from_manifests(two_manifests, runtime="docker") as mesh:
        assert mesh.request("front", URL).status == 200


def test_policies_that_add_a_service_reach_every_pod(two: Mesh) -> None:
    two.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n"
        "spec: {selector: {app: back}, ports: [{port: 81, name: http, targetPort: 8080}]}\n"
    )
    assert two.request("front", "http://other:81/").status == 200


def test_init_containers_are_taken_away_when_the_pods_are_ready(two: Mesh, daemon: Daemon) -> None:
    run = two._runtime._run  # type: ignore[attr-defined]  # of the docker runtime

    def left() -> list[str]:
        found = daemon.labelled(f"meshtest.run={run.name}")
        return [carried["meshtest.pod"] for _, _, carried in found if carried.get("meshtest.part") == "init"]

    wait_until(lambda: not left(), 20, lambda: f"still there: {', '.join(left())}")


def test_only_the_init_containers_had_net_admin(two: Mesh, daemon: Daemon) -> None:
    run = two._runtime._run  # type: ignore[attr-defined]  # of the docker runtime
    for kind, name, carried in daemon.labelled(f"meshtest.run={run.name}"):
        if kind == "container" and carried["meshtest.part"] != "init":
            host = daemon._api.inspect_container(name)["HostConfig"]
            assert not host["Privileged"]
            assert not host["CapAdd"]


def test_limits_slow_an_application_and_go_away_again(two: Mesh, daemon: Daemon) -> None:
    with two.inject(faults.limits(to="back", cpu="20m", memory="64Mi")):
        history = two.send("front", URL, requests=40)
        assert limits_of(two, daemon) == (0.02, 64 << 20)
    assert history.faults[-1].hits == 40
    assert limits_of(two, daemon) == (None, 1 << 50)


def limits_of(mesh: Mesh, daemon: Daemon) -> tuple[float | None, int]:
    run = mesh._runtime._run  # type: ignore[attr-defined]  # of the docker runtime
    for kind, name, carried in daemon.labelled(f"meshtest.run={run.name}"):
        if kind == "container" and (carried.get("meshtest.pod"), carried["meshtest.part"]) == (
            BACK,
            "application",
        ):
            host = daemon._api.inspect_container(name)["HostConfig"]
            quota = host["CpuQuota"]
            return (quota / host["CpuPeriod"] if quota > 0 else None), host["Memory"]
    raise AssertionError("no such container")
