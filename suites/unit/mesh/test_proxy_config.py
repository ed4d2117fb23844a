"""What an Envoy is started with, and what MeshConfig says to others than istiod."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.mesh_config import MeshSettings, settings_of
from meshtest.mesh.proxy_config import (
    has_request_ids,
    hides_metrics,
    knows_itself,
    proxy_name,
    takes_roots,
    zipkin_address,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]


def of_a(build: Build, text: str, proxy: dict[str, Any] | None = None) -> Any:
    (pod,) = build(text, settings=MeshSettings(proxy=proxy or {})).pods
    return pod.proxy_config


def annotated(workload: Workload, text: str) -> str:
    return workload("a", metadata=f"labels: {{app: a}}, annotations: {{proxy.istio.io/config: '{text}'}}")


def test_without_anything_there_is_nothing(build: Build, workload: Workload) -> None:
    assert of_a(build, workload("a")) == {}


def test_what_istiod_goes_by_is_no_matter_of_the_start(build: Build, workload: Workload) -> None:
    told = {"runtimeValues": {"x": "1"}, "concurrency": 4, "gatewayTopology": {"numTrustedProxies": 1}}
    assert of_a(build, workload("a"), told) == {"runtimeValues": {"x": "1"}}


def test_the_annotation_stands_above_the_mesh(build: Build, workload: Workload) -> None:
    told = {"runtimeValues": {"x": "1", "y": "2"}, "tracing": {"zipkin": {"address": "z:9411"}}}
    text = annotated(workload, '{"runtimeValues": {"y": "3"}, "tracing": {"sampling": 1}}')
    assert of_a(build, text, told) == {
        "runtimeValues": {"x": "1", "y": "3"},
        "tracing": {"zipkin": {"address": "z:9411"}, "sampling": 1},
    }


@pytest.mark.parametrize(
    ("mesh", "own", "there"),
    [("{}", "{}", True), ("true", "{}", False), ("true", "false", True), ("false", "true", False)],
)
def test_proxies_without_request_ids(
    build: Build,
    workload: Workload,
    mesh: str,
    own: str,
    there: bool,  # noqa: FBT001 - a case
) -> None:
    def told(disabled: str) -> dict[str, Any]:
        ids = {"disabled": disabled == "true"} if disabled != "{}" else {}
        return {"proxyHeaders": {"requestId": ids, "server": {"disabled": True}}}

    text = annotated(workload, json.dumps(told(own)))
    (pod,) = build(text, settings=MeshSettings(proxy=told(mesh))).pods
    assert has_request_ids(pod) is there


@pytest.mark.parametrize("text", ["[1]", "just words", "{a: ["])
def test_an_annotation_that_is_no_proxy_config(build: Build, workload: Workload, text: str) -> None:
    with pytest.raises(
        ManifestError, match=r"mesh.yaml:\d+: .*proxy.istio.io/config\]: not a mapping; expected"
    ):
        of_a(build, annotated(workload, text))


def test_a_tracer_that_cannot_be_had_is_refused(build: Build, workload: Workload) -> None:
    with pytest.raises(ManifestError, match="spans cannot be sent to datadog"):
        of_a(build, workload("a"), {"tracing": {"datadog": {"address": "x:1"}}})


def test_who_has_no_envoy_has_no_configuration_of_it(build: Build, workload: Workload) -> None:
    plain = workload("a", metadata="labels: {app: a, sidecar.istio.io/inject: 'false'}")
    assert of_a(build, plain, {"runtimeValues": {"x": "1"}}) == {}


def test_where_spans_go() -> None:
    config = {"tracing": {"zipkin": {"address": "zipkin.istio-system:9411"}}}
    assert zipkin_address(config) == ("zipkin.istio-system", 9411)
    assert zipkin_address({"tracing": {"sampling": 1}}) is None


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (None, MeshSettings()),
        ("", MeshSettings()),
        ("- not\n- a mapping", MeshSettings()),
        ("a: [", MeshSettings()),
        ("trustDomain: td", MeshSettings(trust_domain="td")),
        ({"rootNamespace": "root", "defaultConfig": {"a": 1}}, MeshSettings(root_namespace="root", proxy={"a": 1})),
    ],
)  # fmt: skip
def test_what_mesh_config_says_to_others(config: Any, settings: MeshSettings) -> None:
    assert settings_of(config) == settings


@pytest.mark.parametrize(
    ("labels", "config", "name"),
    [
        ("app: shop", {}, "shop.default"),
        ("app: shop, version: v2, app.kubernetes.io/name: other", {}, "shop.default"),
        ("app.kubernetes.io/name: shop, x: a", {}, "shop.default"),
        ("x: a", {}, "a.default"),
        ("app: shop", {"serviceCluster": "mine"}, "mine"),
        ("app: shop", {"serviceCluster": "istio-proxy"}, "shop.default"),
        ("app: shop", {"tracingServiceName": "APP_LABEL_AND_NAMESPACE"}, "shop.default"),
        (
            "app: shop, service.istio.io/canonical-name: front",
            {"tracingServiceName": "CANONICAL_NAME_ONLY"},
            "front",
        ),
        ("app: shop", {"tracingServiceName": "CANONICAL_NAME_AND_NAMESPACE"}, "shop.default"),
    ],
)
def test_what_a_proxy_is_called_in_spans(
    build: Build, labels: str, config: dict[str, Any], name: str
) -> None:
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a, labels: {{{labels}}}}}\n"
    text += "spec: {containers: [{name: a}]}\n"
    (pod,) = build(text, settings=MeshSettings(proxy=config)).pods
    assert proxy_name(pod) == name


def test_a_pods_own_name_stands_above_that_of_the_mesh(build: Build, workload: Workload) -> None:
    text = annotated(workload, '{"tracingServiceName": "CANONICAL_NAME_ONLY"}')
    (pod,) = build(text, settings=MeshSettings(proxy={"serviceCluster": "mesh"})).pods
    assert proxy_name(pod) == "a"


def test_tabs_are_read_as_istio_reads_them(build: Build, workload: Workload) -> None:
    text = annotated(workload, '{"runtimeValues":\t{"x":\t"1",\t}}')
    assert of_a(build, text) == {"runtimeValues": {"x": "1"}}
    assert settings_of("trustDomain:\ttd.test\ndefaultConfig: {x:\t1}").trust_domain == "td.test"


RESOURCES = """
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: NAME, namespace: NAMESPACE}
spec: {SELECTOR environmentVariables: {PROXY_CONFIG_XDS_AGENT: "VALUE"}}
---
"""


def resource(value: str, namespace: str = "default", selector: str = "", name: str = "some") -> str:
    text = RESOURCES.replace("VALUE", value).replace("NAMESPACE", namespace).replace("NAME", name)
    return text.replace("SELECTOR", f"selector: {{matchLabels: {{{selector}}}}}," if selector else "")


@pytest.mark.parametrize(
    ("mesh", "own", "resources", "takes"),
    [
        ({}, "{}", "", False),
        ({"PROXY_CONFIG_XDS_AGENT": "true"}, "{}", "", True),
        ({"PROXY_CONFIG_XDS_AGENT": True}, "{}", "", True),
        ({"PROXY_CONFIG_XDS_AGENT": "no"}, "{}", "", False),
        (
            {"PROXY_CONFIG_XDS_AGENT": "true"},
            '{"proxyMetadata": {"PROXY_CONFIG_XDS_AGENT": "false"}}',
            "",
            False,
        ),
        ({}, '{"proxyMetadata": {"PROXY_CONFIG_XDS_AGENT": "true"}}', "", True),
        ({}, "{}", resource("1", "istio-system"), True),
        ({}, "{}", resource("1", "other"), False),
        ({}, "{}", resource("1", "istio-system") + resource("0"), False),
        ({}, "{}", resource("0", name="first") + resource("1", name="second"), False),
        ({}, '{"proxyMetadata": {"PROXY_CONFIG_XDS_AGENT": "0"}}', resource("1"), False),
        ({}, '{"proxyMetadata": {"PROXY_CONFIG_XDS_AGENT": "0"}}', resource("1", selector="app: a"), True),
        ({}, "{}", resource("1", selector="app: b"), False),
    ],
)
def test_whose_agent_asks_for_further_roots(
    build: Build, workload: Workload, mesh: dict[str, Any], own: str, resources: str, *, takes: bool
) -> None:
    text = resources + annotated(workload, own)
    (pod,) = build(text, settings=MeshSettings(proxy={"proxyMetadata": mesh})).pods
    assert takes_roots(pod) is takes


def test_whose_proxy_is_told_of_its_own_workload(build: Build, workload: Workload) -> None:
    text = annotated(workload, '{"proxyMetadata": {"ISTIO_META_ENABLE_SELF_DISCOVERY": "true"}}')
    first, second = build(text + workload("b")).pods
    assert (knows_itself(first), knows_itself(second)) == (True, False)


@pytest.mark.parametrize(("word", "hides"), [("true", True), ("True", False), ("1", False)])
def test_whose_proxy_tells_its_own_pod_only(
    build: Build, workload: Workload, word: str, *, hides: bool
) -> None:
    own = f'{{"proxyMetadata": {{"METRICS_LOCALHOST_ACCESS_ONLY": "{word}"}}}}'
    first, second = build(annotated(workload, own) + workload("b")).pods
    assert (hides_metrics(first), hides_metrics(second)) == (hides, False)
