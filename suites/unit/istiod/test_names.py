"""Which names the agents of proxies answer that capture DNS, and the addresses that istiod gives to hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The fixtures' types; conftest itself cannot be imported by name here.
    Cluster = Any
    Told = Any

CAPTURE = {"ISTIO_META_DNS_CAPTURE": "true"}
FRONT = "sidecar~10.244.0.1~front-v1-0.default~default.svc.cluster.local"


def make(api_version: str, kind: str, name: str, spec: object) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def entry(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"number": 9000, "name": "tcp", "protocol": "TCP"}]
    body = {"hosts": [f"{name}.example.com"], "resolution": "DNS", "ports": ports, **spec}
    return make("networking.istio.io/v1", "ServiceEntry", name, body)


def capturing(app: str = "front") -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": app}}, "environmentVariables": CAPTURE}
    return make("networking.istio.io/v1beta1", "ProxyConfig", "dns", spec)


def test_who_captures_nothing_is_told_no_names(told: Told) -> None:
    assert told.update(entry("one")).names == {}


def test_a_proxy_config_has_the_agent_of_its_pods_answer(told: Told) -> None:
    told.update(entry("one"), entry("two", addresses=["192.0.2.1", "192.0.2.0/24"], resolution="NONE"))
    update = told.update(capturing())
    assert dict(update.names) == {
        FRONT: {"one.example.com": ["240.240.0.1"], "two.example.com": ["192.0.2.1"]}
    }
    assert any(name.startswith("240.240.0.1_9000") for kind, name in told.state[FRONT] if kind == "LDS")
    assert dict(told.update(gone=(capturing(),)).names) == {FRONT: {}}


def test_mesh_configuration_and_annotations_do_too(told: Told, cluster: Cluster) -> None:
    told.update(entry("one"))
    update = told.engine.update(mesh_config=f"defaultConfig: {{proxyMetadata: {CAPTURE}}}")
    assert {proxy: list(names) for proxy, names in update.names.items()} == {
        proxy["id"]: ["one.example.com"] for proxy in cluster.proxies
    }
    annotated = {
        **cluster.proxies[0],
        "annotations": {"proxy.istio.io/config": f"{{proxyMetadata: {CAPTURE}}}"},
    }
    update = told.engine.update(mesh_config="", proxies=[annotated, *cluster.proxies[1:]])
    assert {proxy: list(names) for proxy, names in update.names.items()} == {
        proxy["id"]: [] for proxy in cluster.proxies[1:]
    }


def test_an_address_is_kept_and_given_again_when_it_is_free(told: Told) -> None:
    told.update(capturing(), entry("one"))
    names = told.update(entry("two"), entry("one", location="MESH_EXTERNAL")).names[FRONT]
    assert names == {"one.example.com": ["240.240.0.1"], "two.example.com": ["240.240.0.2"]}
    assert told.update(gone=(entry("one"),)).names[FRONT] == {"two.example.com": ["240.240.0.2"]}
    taken = entry("mine", addresses=["240.240.0.1"])
    wild = entry("wild", hosts=["*.wild.example.com"], resolution="NONE")
    names = told.update(taken, entry("three"), wild).names[FRONT]
    assert (names["three.example.com"], names["mine.example.com"]) == (["240.240.0.3"], ["240.240.0.1"])
    assert "*.wild.example.com" not in names


def test_a_label_opts_out(told: Told) -> None:
    opted = entry("one")
    opted["metadata"]["labels"] = {"networking.istio.io/enable-autoallocate-ip": "false"}
    assert told.update(capturing(), opted).names == {FRONT: {}}
