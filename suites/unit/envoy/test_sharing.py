"""What several proxies get alike is made once, and is what each of them would have got alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.route.v3 import route_pb2

from meshtest.envoy.ads import Proxy
from meshtest.envoy.decorate import Context, decorate, next_generation
from meshtest.envoy.distort import Limits
from meshtest.envoy.sharing import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT = Context("/run/meshtest", "default/a-0")
CLUSTER = cluster_pb2.Cluster(name="istio.c", type=cluster_pb2.Cluster.EDS)
CLUSTER.transport_socket_matches.add(name="tlsMode-istio")
ENDPOINTS = endpoint_pb2.ClusterLoadAssignment(cluster_name="istio.c")
ADDRESS = ENDPOINTS.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
ADDRESS.address, ADDRESS.port_value = "10.244.0.7", 8080
ROUTES = route_pb2.RouteConfiguration(name="80")
ACTION = ROUTES.virtual_hosts.add(name="v", domains=["v"]).routes.add().route
ACTION.cluster = "c"
ACTION.request_mirror_policies.add(cluster="d")
RAW = {
    "CDS": CLUSTER.SerializeToString(),
    "EDS": ENDPOINTS.SerializeToString(),
    "RDS": ROUTES.SerializeToString(),
}
OTHERS = {
    "pod": replace(CONTEXT, pod="other/longer-name-1"),
    "gateway": replace(CONTEXT, gateway=True),
    "native": replace(CONTEXT, native=True),
    "generation": next_generation(CONTEXT),
    "limits": next_generation(CONTEXT, Limits(max_version="TLSv1_2")),
    "resolver": replace(CONTEXT, resolver="10.9.9.9"),
}


class Counted:
    """A batch, and how often something was decorated for it."""

    def __init__(self) -> None:
        self.payload = b"".join(RAW.values())
        self.times = 0
        self.batch = Batch(self.payload, self._decorated)

    def _decorated(self, kind: str, raw: bytes, proxy: Proxy) -> bytes:
        self.times += 1
        return decorate(kind, raw, proxy.context)

    def places(self) -> Iterator[tuple[str, int, int]]:
        offset = 0
        for kind, raw in RAW.items():
            yield kind, offset, len(raw)
            offset += len(raw)


@pytest.mark.parametrize("differs", OTHERS)
def test_each_proxy_gets_what_it_would_get_alone(differs: str) -> None:
    counted = Counted()
    for kind, offset, size in counted.places():
        for context in (CONTEXT, OTHERS[differs], CONTEXT):
            found = counted.batch.resource(kind, counted.batch.raw(offset, size), Proxy(context), {})
            assert (found.raw, found.value) == (RAW[kind], decorate(kind, RAW[kind], context))
    assert counted.times == len(RAW) * (1 if differs in {"pod", "gateway"} else 2)


def test_proxies_of_a_kind_share_one_resource() -> None:
    counted = Counted()
    for kind, offset, size in counted.places():
        first, second = (
            counted.batch.resource(kind, counted.batch.raw(offset, size), Proxy(context), {})
            for context in (CONTEXT, OTHERS["pod"])
        )
        assert first is second


def test_endpoints_that_are_elsewhere_are_a_proxys_own() -> None:
    batch = Counted().batch
    swap = {"10.244.0.7:8080": "10.244.255.254:21001"}
    away = batch.resource("EDS", RAW["EDS"], Proxy(CONTEXT), swap)
    assert b"10.244.255.254" in away.value
    assert away.raw == RAW["EDS"]
    assert batch.resource("EDS", RAW["EDS"], Proxy(CONTEXT), {}).value == RAW["EDS"]


def test_what_is_made_to_be_refused_is_a_proxys_own() -> None:
    counted = Counted()
    poisoned = Proxy(CONTEXT)
    poisoned.poisoned = True
    for proxy in (Proxy(CONTEXT), poisoned, poisoned):
        counted.batch.resource("RDS", RAW["RDS"], proxy, {})
    assert counted.times == 3
