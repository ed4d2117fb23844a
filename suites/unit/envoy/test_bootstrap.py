from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from meshtest.envoy.bootstrap import FLAGS, bootstrap, node_metadata, socket_path
from meshtest.mesh.model import Pod, PodKind
from meshtest.mesh.proxy_config import HIDES_METRICS, KNOWS_ITSELF


def a_pod(kind: PodKind = PodKind.SIDECAR, **fields: Any) -> Pod:
    told: dict[str, Any] = {
        "namespace": "default",
        "name": "reviews-v1-0",
        "workload": "reviews-v1",
        "workload_kind": "Deployment",
        "ip": "10.244.0.7",
        "labels": {"app": "reviews"},
        **fields,
    }
    return Pod(kind=kind, **told)


def made(pod: Pod, **fields: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(bootstrap(pod, directory="/run/meshtest", **fields))
    return parsed


def test_node_says_who_the_proxy_is() -> None:
    node = made(a_pod(locality="eu/eu-1/a"))["node"]
    assert node["id"] == "sidecar~10.244.0.7~reviews-v1-0.default~default.svc.cluster.local"
    assert node["cluster"] == "reviews.default"
    assert node["locality"] == {"region": "eu", "zone": "eu-1", "sub_zone": "a"}
    assert node["metadata"] == node_metadata(a_pod(locality="eu/eu-1/a"))


def test_metadata_is_istios() -> None:
    told = node_metadata(a_pod(annotations={"a": "b"}, service_account="bob"))
    assert told["ANNOTATIONS"] == {"a": "b"}
    assert told["SERVICE_ACCOUNT"] == "bob"
    assert told["INTERCEPTION_MODE"] == "REDIRECT"
    assert node_metadata(a_pod(PodKind.GATEWAY))["INTERCEPTION_MODE"] == "NONE"


def test_in_tproxy_mode_what_envoy_sends_itself_bears_a_mark_of_its_own() -> None:
    def mark(pod: Pod) -> int:
        options = made(pod)["cluster_manager"]["upstream_bind_config"]["socket_options"]
        return int(options[0]["int_value"])

    transparent = a_pod(annotations={"sidecar.istio.io/interceptionMode": "TPROXY"})
    assert node_metadata(transparent)["INTERCEPTION_MODE"] == "TPROXY"
    assert (mark(a_pod()), mark(transparent)) == (1337, 1338)


def test_sockets_lie_in_the_given_folder() -> None:
    config = made(a_pod())
    assert config["admin"]["address"]["pipe"]["path"] == "/run/meshtest/default_reviews-v1-0.admin"
    listeners = {one["name"]: one["address"] for one in config["static_resources"]["listeners"]}
    assert listeners["meshtest-probe"]["pipe"]["path"] == socket_path(
        "/run/meshtest", "default/reviews-v1-0", "probe"
    )
    assert listeners["meshtest-readiness"]["socket_address"]["port_value"] == 15021


def test_what_it_counts_is_at_a_port_of_its_own_unless_hidden() -> None:
    def port(pod: Pod) -> dict[str, Any]:
        (found,) = (
            one for one in made(pod)["static_resources"]["listeners"] if one["name"] == "meshtest-stats"
        )
        address: dict[str, Any] = found["address"]["socket_address"]
        return address

    assert port(a_pod()) == {"address": "0.0.0.0", "port_value": 15090}  # noqa: S104 - compared, never bound
    hidden = a_pod(proxy_config={HIDES_METRICS: True})
    assert port(hidden) == {"address": "127.0.0.1", "port_value": 15090}


def test_its_own_ports_are_known_to_istiod() -> None:
    told = node_metadata(a_pod())
    assert (told["ENVOY_STATUS_PORT"], told["ENVOY_PROMETHEUS_PORT"]) == (15021, 15090)


def test_several_on_one_network_have_no_ports_of_their_own() -> None:
    found = made(a_pod(), own_ports=False)["static_resources"]
    assert [one["name"] for one in found["listeners"]] == ["meshtest-probe"]


def test_runtime_values_of_the_proxy_config_win() -> None:
    values = {"envoy.reloadable_features.http_reject_path_with_fragment": "", "x": "true", "y": "7"}
    config = made(a_pod(proxy_config={"runtimeValues": values}))
    flags = config["layered_runtime"]["layers"][0]["static_layer"]
    assert flags["x"] is True
    assert flags["y"] == "7"
    assert "envoy.reloadable_features.http_reject_path_with_fragment" not in flags


def test_spans_go_to_the_zipkin_of_the_proxy_config() -> None:
    assert "tracing" not in made(a_pod())
    config = made(a_pod(proxy_config={"tracing": {"zipkin": {"address": "zipkin.tracing:9411"}}}))
    assert config["tracing"]["http"]["typed_config"]["collector_cluster"] == "zipkin"
    (cluster,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "zipkin")
    (group,) = cluster["load_assignment"]["endpoints"]
    address = group["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    assert address == {"address": "zipkin.tracing", "port_value": 9411}


def test_sockets_are_marked_unless_they_may_not_be() -> None:
    option = made(a_pod())["cluster_manager"]["upstream_bind_config"]["socket_options"][0]
    assert (option["level"], option["name"], option["int_value"]) == (1, 36, 1337)
    assert "upstream_bind_config" not in made(a_pod(), socket_mark=None)["cluster_manager"]


def test_nothing_is_made_before_it_is_used_as_in_istios_bootstrap() -> None:
    config = made(a_pod())
    assert config["cluster_manager"]["enable_deferred_cluster_creation"] is True
    assert config["deferred_stat_options"]["enable_deferred_creation_stats"] is True


@pytest.mark.parametrize("module", ["bootstrap", "binary", "marks"])
def test_stays_light(module: str) -> None:
    heavy = "{'google.protobuf', 'grpc', 'cryptography', 'envoy'}"
    program = f"import sys, meshtest.envoy.{module}; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_filter_chains_drain_at_once() -> None:
    line = list(FLAGS)
    assert line[line.index("--drain-time-s") + 1] == "0"
    assert line[line.index("--drain-strategy") + 1] == "immediate"
    assert "--disable-hot-restart" in line


def test_envoy_asks_for_names_past_the_agent() -> None:
    resolver = made(a_pod(), resolver="10.244.255.252")["typed_dns_resolver_config"]["typed_config"]
    address = {"address": "10.244.255.252", "port_value": 5053}
    assert resolver["resolvers"] == [{"socket_address": address}]


def test_only_who_asks_for_it_knows_the_pods_of_its_own_workload() -> None:
    assert "local_cluster_name" not in made(a_pod())["cluster_manager"]
    config = made(a_pod(proxy_config={KNOWS_ITSELF: True}))
    assert config["cluster_manager"]["local_cluster_name"] == "local_cluster"
    (cluster,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "local_cluster")
    assert cluster["eds_cluster_config"]["service_name"] == "local_cluster"
