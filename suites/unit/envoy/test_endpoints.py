from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from google.protobuf import json_format

from meshtest.envoy.endpoints import Swaps, endpoints, reassigned, swapped, without_endpoints
from meshtest.envoy.resources import Resource

if TYPE_CHECKING:
    from pathlib import Path

LISTENER = "10.244.255.254:21001"


def endpoint(ip: str, port: int, **metadata: Any) -> dict[str, Any]:
    address = {"socketAddress": {"address": ip, "portValue": port}}
    matched = {"envoy.transport_socket_match": {"tlsMode": "istio"}, **metadata}
    return {
        "endpoint": {"address": address},
        "metadata": {"filterMetadata": matched},
        "loadBalancingWeight": 1,
    }


def assignment(*found: dict[str, Any]) -> bytes:
    body = {"clusterName": "outbound|9080||ratings", "endpoints": [{"lbEndpoints": list(found)}]}
    return bytes(json_format.ParseDict(body, endpoint_pb2.ClusterLoadAssignment()).SerializeToString())


def only(raw: bytes) -> dict[str, Any]:
    shown = json_format.MessageToDict(endpoint_pb2.ClusterLoadAssignment.FromString(raw))
    (found,) = shown["endpoints"][0]["lbEndpoints"]
    return dict(found)


def test_only_the_address_changes() -> None:
    raw = assignment(endpoint("10.244.0.7", 9080))
    before, after = only(raw), only(swapped(raw, {"10.244.0.7:9080": LISTENER}))
    assert after["endpoint"]["address"] == {
        "socketAddress": {"address": "10.244.255.254", "portValue": 21001}
    }
    assert after["loadBalancingWeight"] == before["loadBalancingWeight"]
    assert after["metadata"]["filterMetadata"]["envoy.transport_socket_match"] == {"tlsMode": "istio"}


def test_a_consistent_hash_sees_the_old_address() -> None:
    after = only(swapped(assignment(endpoint("10.244.0.7", 9080)), {"10.244.0.7:9080": LISTENER}))
    assert after["metadata"]["filterMetadata"]["envoy.lb"] == {"hash_key": "10.244.0.7:9080"}


def test_another_port_or_pod_stays() -> None:
    raw = assignment(endpoint("10.244.0.7", 9081))
    assert only(swapped(raw, {"10.244.0.7:9080": LISTENER})) == only(raw)
    assert swapped(raw, {"10.244.0.8:9081": LISTENER}) == raw


def test_a_swap_is_undone_from_what_istiod_said() -> None:
    raw = assignment(endpoint("10.244.0.7", 9080))
    away = reassigned({"x": Resource.of(raw, raw)}, {"10.244.0.7:9080": LISTENER})
    assert away["x"].value != raw
    assert reassigned(away, {})["x"].value == raw


def test_swaps_are_released_by_where_they_lead(tmp_path: Path) -> None:
    swaps = Swaps(str(tmp_path))
    assert swaps.change({"node": {"a:1": "proxy:1", "b:1": "proxy:2"}}, {}) == {"node"}
    swaps.change({"node": {"c:1": "proxy:3"}}, {"node": ["proxy:1"], "other": ["proxy:2"]})
    assert swaps.of("node") == {"b:1": "proxy:2", "c:1": "proxy:3"}
    assert swaps.of("other") == {}


def test_a_control_plane_that_is_started_again_knows_the_swaps(tmp_path: Path) -> None:
    Swaps(str(tmp_path)).change({"node": {"a:1": "proxy:1"}}, {})
    assert Swaps(str(tmp_path)).of("node") == {"a:1": "proxy:1"}


def test_endpoints_are_found_with_their_clusters() -> None:
    raw = assignment(endpoint("10.244.0.7", 9080), endpoint("10.244.0.8", 9080))
    both = {"one": Resource.of(raw, raw), "two": Resource.of(raw, raw)}
    assert endpoints(both, ["10.244.0.7"]) == {"10.244.0.7:9080": ["one", "two"]}


def test_clusters_without_endpoints_are_named() -> None:
    headless = cluster_pb2.Cluster(name="outbound|80||headless", type=cluster_pb2.Cluster.ORIGINAL_DST)
    plain = cluster_pb2.Cluster(name="outbound|80||plain", type=cluster_pb2.Cluster.EDS)
    known = {
        each.name: Resource.of(each.SerializeToString(), each.SerializeToString())
        for each in (headless, plain)
    }
    assert without_endpoints(known) == {"outbound|80||headless": "ORIGINAL_DST"}
