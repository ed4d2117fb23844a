from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.mesh.external import ExternalHost, ExternalPort
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]

PORTS = (ExternalPort(number=80), ExternalPort(number=443, protocol="HTTPS"))


def host(*addresses: str, names: tuple[str, ...] = ()) -> ExternalHost:
    return ExternalHost(ports=PORTS, addresses=addresses, names=names)


def test_a_host_outside_is_a_place_with_a_name_and_no_object(build: Build, workload: Workload) -> None:
    model = build(workload("web"), external={"api.example.com": host(names=("*.api.example.com",))})
    place = model.pods[-1]
    assert (place.key, place.workload_key, place.kind) == (
        "api.example.com",
        "api.example.com",
        PodKind.PLAIN,
    )
    assert [(port.number, port.name) for port in place.ports] == [(80, "http"), (443, "https")]
    assert model.zone == {"api.example.com": ("198.19.0.2",), "*.api.example.com": ("198.19.0.2",)}
    assert model.cluster_ips == {}
    assert all("example.com" not in str(body) for body in model.objects)


def test_each_of_its_addresses_is_a_place(build: Build) -> None:
    model = build("", external={"api.example.com": host("192.0.2.1", "192.0.2.2")})
    assert [(pod.name, pod.ip) for pod in model.pods] == [
        ("api.example.com-0", "192.0.2.1"),
        ("api.example.com-1", "192.0.2.2"),
    ]
    assert {pod.workload for pod in model.pods} == {"api.example.com"}
    assert model.zone == {"api.example.com": ("192.0.2.1", "192.0.2.2")}


def test_it_keeps_its_address(build: Build) -> None:
    before = build("", external={"a.example.com": host()})
    after = build("", external={"b.example.com": host(), "a.example.com": host()}, previous=before)
    assert after.zone == {"b.example.com": ("198.19.0.3",), "a.example.com": ("198.19.0.2",)}


@pytest.mark.parametrize(
    ("external", "message"),
    [
        (
            {"a.example.com": host(), "b.example.com": host(names=("a.example.com",))},
            "a name of a.example.com already",
        ),
        ({"web.default.svc.cluster.local": host()}, "no name outside the mesh"),
        ({"outside": host()}, "no name outside the mesh"),
        (
            {"a": host("192.0.2.1"), "b": host("192.0.2.1")},
            "external.b.addresses: .* an address of a already",
        ),
        ({"a": host("10.244.3.4")}, "10.244.3.4 lies inside the cluster"),
        ({"a": host("10.96.0.20")}, "10.96.0.20 lies inside the cluster"),
        ({"a": host("10.250.1.1")}, "10.250.1.1 lies inside the cluster"),
    ],
    ids=["name", "cluster-domain", "outside", "address", "pod", "service", "pods-of-this-run"],
)
def test_it_takes_nothing_that_is_somebody_elses(
    build: Build, external: dict[str, ExternalHost], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        build("", external=external, pod_network="10.250")
