from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.mesh.model import Pod, PodKind
from meshtest.runtime.base import Command, Image, Interception, PodPlan, Role
from meshtest.runtime.docker.containers import CONTROL_PLANE, Shape
from meshtest.runtime.docker.labels import RUN, Run
from meshtest.runtime.docker.network import Network

if TYPE_CHECKING:
    from meshtest.runtime.docker.client import ContainerSpec

NETWORK = Network(name="meshtest-x", prefix="10.244")
SHAPE = Shape(run=Run.new(), image_name="meshtest:x", network=NETWORK, volume="meshtest-x")


def plan(**fields: Any) -> PodPlan:
    pod = Pod(
        namespace="default", name="a-0", workload="a", workload_kind="Deployment", ip="10.244.0.2",
        kind=PodKind.SIDECAR, labels={},
    )  # fmt: skip
    defaults: dict[str, Any] = {"application": None, "bootstrap": "{}", "interception": Interception()}
    return PodPlan(pod=pod, **{**defaults, **fields})


def every() -> dict[str, ContainerSpec]:
    role = Role(target="a:b")
    return {
        "control plane": SHAPE.own(CONTROL_PLANE, role, NETWORK.control_plane),
        "resolver": SHAPE.own("meshtest/resolver", role, NETWORK.resolver),
        "owner": SHAPE.owner(plan()),
        "stand-in": SHAPE.application(plan(), role, "1234"),
        "program": SHAPE.program(plan(), Command(argv=("/bin/true",)), "1234"),
        "image": SHAPE.image(plan(), Image(reference="an/image"), "1234"),
        "init": SHAPE.init("default/a-0", "1234", 1),
        "reaper": SHAPE.reaper("/var/run/docker.sock"),
    }


@pytest.mark.parametrize("name", every())
def test_no_container_is_privileged_or_may_become_so(name: str) -> None:
    host = every()[name].host
    assert "privileged" not in host
    assert host["security_opt"] == ["no-new-privileges"]
    assert host.get("network_mode") != "host"


@pytest.mark.parametrize("name", sorted(set(every()) - {"image"}))
def test_only_init_has_a_capability(name: str) -> None:
    host = every()[name].host
    assert host["cap_drop"] == ["ALL"]
    assert host.get("cap_add", []) == (["NET_ADMIN"] if name == "init" else [])


@pytest.mark.parametrize("name", sorted(set(every()) - {"image", "program"}))
def test_the_root_of_meshtests_own_is_read_only(name: str) -> None:
    assert every()[name].host["read_only"] is True


@pytest.mark.parametrize("name", every())
def test_everything_carries_the_runs_label_and_publishes_nothing(name: str) -> None:
    assert every()[name].labels[RUN] == SHAPE.run.name
    assert "port_bindings" not in every()[name].host


@pytest.mark.parametrize("name", sorted(set(every()) - {"reaper"}))
def test_nothing_of_the_host_is_mounted(name: str) -> None:
    assert set(every()[name].host.get("binds", {})) <= {"meshtest-x"}


def test_an_image_runs_as_its_makers_meant_it() -> None:
    spec = SHAPE.image(plan(env={"POD_NAME": "a-0"}), Image(reference="an/image"), "1234")
    assert (spec.command, spec.entrypoint, spec.user) == (None, None, "")
    assert spec.environment == {"POD_NAME": "a-0"}


def test_limits_are_dockers() -> None:
    host = SHAPE.image(plan(), Image(reference="an/image", cpus=0.5, memory=64 << 20), "1234").host
    assert (host["cpu_quota"] / host["cpu_period"], host["mem_limit"]) == (0.5, 64 << 20)


def test_envoy_waits_for_the_control_plane_and_logs_to_the_volume() -> None:
    config = json.loads(SHAPE.owner(plan()).environment["MESHTEST_CONFIG"])
    assert config["needs"] == "/run/meshtest/xds.sock"
    assert config["access_log"] == "/run/meshtest/default_a-0.access"


def test_a_plain_pod_has_no_envoy() -> None:
    assert "argv" not in json.loads(SHAPE.owner(plan(bootstrap=None)).environment["MESHTEST_CONFIG"])


def test_meshtests_own_addresses_are_no_pods() -> None:
    own = {NETWORK.gateway, NETWORK.control_plane, NETWORK.resolver, *map(NETWORK.further, range(6))}
    assert len(own) == 9
    assert all(int(address.rpartition(".")[2]) > 251 for address in own)
