from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2
from google.protobuf import json_format
from google.protobuf.wrappers_pb2 import UInt32Value
from udpa.type.v1 import typed_struct_pb2

from meshtest.envoy.decorate import Context, Decorator, decorate, next_generation

CONTEXT = Context("/run/meshtest", "default/a-0")
ISTIO = "type.googleapis.com/"


def only_istio(name: str, url: str) -> dict[str, Any]:
    kind = ISTIO + typed_struct_pb2.TypedStruct.DESCRIPTOR.full_name
    return {"name": name, "typed_config": {"@type": kind, "type_url": ISTIO + url, "value": {}}}


EXCHANGE = only_istio("istio.metadata_exchange", "envoy.tcp.metadataexchange.config.MetadataExchange")
PEERS = only_istio("peers", "io.istio.http.peer_metadata.Config")
STATS = only_istio("istio.stats", "stats.PluginConfig")
ALPN = {"name": "istio.alpn", "typed_config": {"@type": ISTIO + "google.protobuf.Empty"}}
FAULT = {
    "name": "fault",
    "typed_config": {"@type": ISTIO + "envoy.extensions.filters.http.fault.v3.HTTPFault"},
}
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": ISTIO + "envoy.extensions.filters.http.router.v3.Router"},
}


def listener(direction: str) -> bytes:
    manager = {
        "name": "http",
        "typed_config": {
            "@type": ISTIO + hcm_pb2.HttpConnectionManager.DESCRIPTOR.full_name,
            "http_filters": [PEERS, ALPN, FAULT, STATS, ROUTER],
        },
    }
    proxy = {"name": "tcp", "typed_config": {"@type": ISTIO + tcp_proxy_pb2.TcpProxy.DESCRIPTOR.full_name}}
    body = {
        "name": "l",
        "traffic_direction": direction,
        "filter_chains": [{"filters": [EXCHANGE, manager]}],
        "default_filter_chain": {"filters": [EXCHANGE, proxy]},
    }
    return bytes(json_format.ParseDict(body, listener_pb2.Listener()).SerializeToString())


def decorated(direction: str, context: Context = CONTEXT) -> listener_pb2.Listener:
    return listener_pb2.Listener.FromString(decorate("LDS", listener(direction), context))


def manager_of(found: listener_pb2.Listener) -> hcm_pb2.HttpConnectionManager:
    return hcm_pb2.HttpConnectionManager.FromString(found.filter_chains[0].filters[-1].typed_config.value)


@pytest.mark.parametrize("pod", ["default/a-0", f"{'n' * 60}/{'p' * 200}"], ids=["short", "long"])
def test_for_many_proxies_it_is_the_same_to_the_byte(pod: str) -> None:
    context = Context("/run/meshtest", pod)
    raw = listener("INBOUND")
    assert Decorator().decorate("LDS", raw, context) == decorate("LDS", raw, context)


@pytest.mark.parametrize("direction", ["INBOUND", "OUTBOUND"])
def test_filters_of_istios_own_envoy_go_and_alpn_is_replaced(direction: str) -> None:
    found = decorated(direction)
    assert [one.name for one in found.filter_chains[0].filters] == ["http"]
    assert [one.name for one in found.default_filter_chain.filters] == ["tcp"]
    filters = manager_of(found).http_filters
    names = [one.name for one in filters]
    assert not {"peers", "istio.stats"} & set(names)
    # Behind the filters that choose the route again, were its choice undone before them.
    where = names.index("istio.alpn")
    assert where > names.index("fault")
    assert "set_filter_state" in filters[where].typed_config.type_url
    assert names[-1] == "envoy.filters.http.router"


@pytest.mark.parametrize("direction", ["INBOUND", "OUTBOUND"])
def test_nothing_is_taken_from_istios_own_envoy(direction: str) -> None:
    found = decorated(direction, Context("/run/meshtest", "default/a-0", native=True))
    assert [one.name for one in found.filter_chains[0].filters] == ["istio.metadata_exchange", "http"]
    assert [one.name for one in found.default_filter_chain.filters] == ["istio.metadata_exchange", "tcp"]
    filters = {one.name: one for one in manager_of(found).http_filters}
    assert [one for one in filters if not one.startswith("meshtest.")][:4] == [
        "peers",
        "istio.alpn",
        "fault",
        "istio.stats",
    ]
    assert filters["istio.alpn"].typed_config.type_url.endswith("google.protobuf.Empty")
    assert ("meshtest.fault" in filters) is (direction == "INBOUND")
    assert manager_of(found).access_log


@pytest.mark.parametrize(
    ("direction", "gateway", "faults"),
    [
        ("INBOUND", False, True),
        ("OUTBOUND", False, False),
        ("OUTBOUND", True, False),
        ("INBOUND", True, False),
    ],
)
def test_faults_stand_before_the_router_of_inbound_chains_only(
    direction: str,
    gateway: bool,  # noqa: FBT001 - a parameter of the test
    faults: bool,  # noqa: FBT001 - likewise
) -> None:
    context = Context("/run/meshtest", "default/a-0", gateway=gateway)
    names = [one.name for one in manager_of(decorated(direction, context)).http_filters]
    added = ["meshtest.marks", "meshtest.fault", "meshtest.clean"] if faults else []
    assert names == ["fault", "istio.alpn", *added, "envoy.filters.http.router"]


def test_every_place_that_knows_a_connection_logs_it() -> None:
    found = decorated("INBOUND")
    proxy = tcp_proxy_pb2.TcpProxy.FromString(found.default_filter_chain.filters[0].typed_config.value)
    for logs in (found.access_log, manager_of(found).access_log, proxy.access_log):
        assert [log.name for log in logs] == ["meshtest.evidence"]
        assert b"/run/meshtest/default_a-0.access" in logs[0].typed_config.value


def test_same_input_gives_the_same_bytes() -> None:
    assert decorate("LDS", listener("INBOUND"), CONTEXT) == decorate("LDS", listener("INBOUND"), CONTEXT)


def test_clusters_lose_istios_filters_and_nothing_else() -> None:
    body = {"name": "c", "connect_timeout": "1s"}
    plain = json_format.ParseDict(body, cluster_pb2.Cluster()).SerializeToString()
    with_filter = json_format.ParseDict(
        {**body, "filters": [EXCHANGE]}, cluster_pb2.Cluster()
    ).SerializeToString()
    assert decorate("CDS", plain, CONTEXT) == plain
    assert decorate("CDS", with_filter, CONTEXT) == plain


@pytest.mark.parametrize("name", ["inbound|8080||", "InboundPassthroughCluster"])
def test_in_tproxy_mode_calls_of_the_application_bear_the_mark_of_diverted_connections(name: str) -> None:
    raw = cluster_pb2.Cluster(name=name).SerializeToString()
    context = Context("/run/meshtest", "default/a-0", transparent=True)
    found = cluster_pb2.Cluster.FromString(decorate("CDS", raw, context))
    assert [option.int_value for option in found.upstream_bind_config.socket_options] == [1337]
    assert decorate("CDS", raw, CONTEXT) == raw


def test_an_ejection_takes_effect_at_once_though_endpoints_have_just_changed() -> None:
    metadata: dict[str, Any] = {"filterMetadata": {"istio": {"services": []}}}
    body = {"name": "outbound|80||x", "type": "EDS", "connect_timeout": "1s", "metadata": metadata}
    raw = json_format.ParseDict(body, cluster_pb2.Cluster()).SerializeToString()
    found = cluster_pb2.Cluster.FromString(decorate("CDS", raw, CONTEXT))
    assert found.common_lb_config.HasField("update_merge_window")
    assert found.common_lb_config.update_merge_window.ToMilliseconds() == 0


@pytest.mark.parametrize("kind", ["EDS", "RDS", "ECDS"])
def test_other_kinds_pass_unchanged(kind: str) -> None:
    assert decorate(kind, b"istio anything", CONTEXT) == b"istio anything"


def test_next_generation_changes_every_chain_and_cluster() -> None:
    again = next_generation(CONTEXT)
    assert decorate("LDS", listener("INBOUND"), again) != decorate("LDS", listener("INBOUND"), CONTEXT)
    cluster = cluster_pb2.Cluster(name="c").SerializeToString()
    assert decorate("CDS", cluster, again) != decorate("CDS", cluster, CONTEXT)


@pytest.mark.parametrize("direction", ["INBOUND", "OUTBOUND"])
@pytest.mark.parametrize("gateway", [False, True])
def test_shared_forms_give_the_same_bytes(direction: str, gateway: bool) -> None:  # noqa: FBT001
    shared = Decorator()
    for pod in ("default/a-0", "default/b-0", "d/efault_a0", "shop/longer-name-0"):
        context = Context("/run/meshtest", pod, gateway=gateway)
        raw = listener(direction)
        assert shared.decorate("LDS", raw, context) == decorate("LDS", raw, context)


ONE_LISTENER = """
import hashlib
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from meshtest.envoy.decorate import Context, decorate
listener = listener_pb2.Listener(name="virtualInbound", traffic_direction="INBOUND")
manager = hcm.HttpConnectionManager(http_filters=[hcm.HttpFilter(name="envoy.filters.http.router")])
listener.filter_chains.add().filters.add().typed_config.Pack(manager)
raw = listener.SerializeToString(deterministic=True)
print(hashlib.sha256(decorate("LDS", raw, Context("/run/x", "default/a-0"))).hexdigest())
"""


def test_every_process_decorates_to_the_same_bytes() -> None:
    """A control plane that is started anew would else replace every listener."""
    run = [sys.executable, "-c", ONE_LISTENER]
    found = {subprocess.run(run, check=True, capture_output=True, text=True).stdout for _ in range(4)}
    assert len(found) == 1


def test_clusters_of_names_ask_where_envoys_do() -> None:
    cluster = cluster_pb2.Cluster(name="outbound|80||api.example.com", type=cluster_pb2.Cluster.STRICT_DNS)
    resolver = cares_dns_resolver_pb2.CaresDnsResolverConfig(udp_max_queries=UInt32Value(value=100))
    cluster.typed_dns_resolver_config.typed_config.Pack(resolver)
    cluster.metadata.filter_metadata["istio"].update({"config": "x"})
    found = cluster_pb2.Cluster.FromString(decorate("CDS", cluster.SerializeToString(), CONTEXT))
    asked = cares_dns_resolver_pb2.CaresDnsResolverConfig.FromString(
        found.typed_dns_resolver_config.typed_config.value
    )
    assert [(one.socket_address.address, one.socket_address.port_value) for one in asked.resolvers] == [
        ("10.96.0.10", 5053)
    ]
    assert asked.udp_max_queries.value == 100
