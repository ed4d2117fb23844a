from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.build import build_model, engine_proxies
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]

POLICY = "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: NAME, EXTRA}}\n---\n"


def objects(model: MeshModel, kind: str) -> dict[str, Any]:
    return {body["metadata"]["name"]: body for body in model.objects if body["kind"] == kind}


def policy(name: str, extra: str = "") -> str:
    return POLICY.replace("NAME", name).replace("EXTRA", extra)


def times(model: MeshModel) -> dict[str, str]:
    return {
        name: body["metadata"]["creationTimestamp"]
        for name, body in objects(model, "PeerAuthentication").items()
    }


def test_no_manifests_make_an_empty_cluster() -> None:
    model = build_model([])
    assert model.pods == []
    assert set(objects(model, "Namespace")) == {"default", "istio-system"}


def test_namespaces_that_are_used_are_there(build: Build) -> None:
    given = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: red}}}\n---\n"
    model = build(given + policy("a", "namespace: other"))
    found = objects(model, "Namespace")
    assert found["shop"]["metadata"]["labels"] == {"team": "red", "kubernetes.io/metadata.name": "shop"}
    assert "other" in found


def test_service_accounts_that_are_used_are_there_once(build: Build, workload: Workload) -> None:
    given = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}\n---\n"
    text = (
        given + workload("web", pod="serviceAccountName: web,") + workload("b", pod="serviceAccountName: b,")
    )
    found = [
        (body["metadata"]["namespace"], body["metadata"]["name"])
        for body in build(text).objects
        if body["kind"] == "ServiceAccount"
    ]
    assert sorted(found) == [
        ("default", "b"),
        ("default", "default"),
        ("default", "web"),
        ("istio-system", "default"),
    ]


def test_workloads_are_seen_as_their_pods(build: Build, workload: Workload) -> None:
    model = build(workload("web", pod="serviceAccountName: shop,"))
    assert objects(model, "Deployment") == {}
    pod = objects(model, "Pod")["web-0"]
    assert pod["spec"]["serviceAccountName"] == "shop"
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert (pod["status"]["phase"], pod["status"]["podIP"]) == ("Running", "10.244.0.2")
    assert {condition["status"] for condition in pod["status"]["conditions"]} == {"True"}
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Deployment", "web", True)


def test_the_order_of_application_shows_in_the_times(build: Build) -> None:
    found = times(build(policy("b") + policy("a")))
    assert found["b"] < found["a"]


def test_a_given_time_is_kept(build: Build) -> None:
    model = build(policy("a", "creationTimestamp: 2020-01-02T03:04:05Z"))
    assert times(model)["a"] == "2020-01-02T03:04:05Z"


def test_objects_stay_as_old_as_they_are_and_new_ones_are_younger(build: Build) -> None:
    first = build(policy("a") + policy("b"))
    second = build(policy("c") + policy("b"), previous=first)
    assert times(second)["b"] == times(first)["b"]
    assert times(second)["c"] > max(body["metadata"]["creationTimestamp"] for body in first.objects)


def ids(model: MeshModel) -> dict[str, str]:
    return {name: body["metadata"]["uid"] for name, body in objects(model, "PeerAuthentication").items()}


def test_objects_have_ids_of_their_own_as_long_as_they_are_there(build: Build) -> None:
    first = build(policy("a") + policy("b") + policy("c", "uid: '7'"))
    assert len({*ids(first).values()}) == 3
    assert ids(first)["c"] == "7"
    second = build(policy("b"), previous=first)
    assert ids(second)["b"] == ids(first)["b"]
    third = build(policy("b") + policy("a"), previous=second)
    assert ids(third)["a"] != ids(first)["a"]


def test_building_is_pure(build: Build, workload: Workload) -> None:
    text = workload("web") + policy("a")
    assert build(text).objects == build(text).objects


def test_plain_secrets_become_base64(build: Build) -> None:
    text = "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {x: YQ==}, stringData: {z: b}}"
    secret = objects(build(text), "Secret")["a"]
    assert {key: base64.b64decode(value) for key, value in secret["data"].items()} == {"x": b"a", "z": b"b"}
    assert "stringData" not in secret


def test_a_secret_that_is_not_base64_is_told(build: Build) -> None:
    with pytest.raises(ManifestError, match=r"mesh.yaml:1: data.x: not base64"):
        build("{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {x: 'hello!'}}")


def test_what_is_passed_over_is_listed_and_not_held(build: Build) -> None:
    model = build("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}}")
    assert [one.ref.kind for one in model.passed_over] == ["HorizontalPodAutoscaler"]
    assert objects(model, "HorizontalPodAutoscaler") == {}


def test_unsupported_kinds_are_refused_unless_allowed(build: Build) -> None:
    text = "{apiVersion: shop.example/v1, kind: Basket, metadata: {name: a}}"
    with pytest.raises(ManifestError, match="unsupported kind"):
        build(text)
    assert [one.ref.kind for one in build(text, allow_unsupported=True).unsupported] == ["Basket"]


def test_the_engine_is_told_of_every_envoy(build: Build, workload: Workload) -> None:
    text = workload("web") + workload(
        "plain", metadata='labels: {app: plain, sidecar.istio.io/inject: "false"}'
    )
    (proxy,) = engine_proxies(build(text))
    assert proxy["id"] == "sidecar~10.244.0.2~web-0.default~default.svc.cluster.local"
    assert (proxy["ip"], proxy["workload"], proxy["cluster"]) == ("10.244.0.2", "web", "web.default")


GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: SELECTED}, servers: []}
---
"""


@pytest.mark.parametrize("name", ["ingressgateway", "egressgateway"])
def test_the_usual_gateway_runs_where_one_is_selected(build: Build, name: str) -> None:
    model = build(GATEWAY.replace("SELECTED", name))
    (pod,) = model.pods
    assert (pod.key, pod.kind) == (f"istio-system/istio-{name}-0", PodKind.GATEWAY)
    assert pod.service_account == f"istio-{name}-service-account"
    assert [backend.port for backend in model.cluster_ips["10.96.0.2"][80]] == [8080]
    assert engine_proxies(model)[0]["id"].startswith("router~")


BY_HAND = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec: {gatewayClassName: istio, addresses: [{type: Hostname, value: HOST}], listeners: []}
---
"""


@pytest.mark.parametrize(
    ("host", "pods"),
    [
        ("istio-ingressgateway.istio-system.svc.cluster.local", ["istio-ingressgateway-0"]),
        ("istio-ingressgateway", ["istio-ingressgateway-0"]),
        ("istio-ingressgateway.default.svc.cluster.local", []),
        ("mine.istio-system.svc.cluster.local", []),
    ],
)
def test_the_usual_gateway_runs_where_one_names_its_service(build: Build, host: str, pods: list[str]) -> None:
    assert [pod.name for pod in build(BY_HAND.replace("HOST", host)).pods] == pods


def test_the_usual_gateway_may_be_selected_by_its_app(build: Build) -> None:
    text = GATEWAY.replace("istio: SELECTED", "app: istio-ingressgateway")
    assert [pod.name for pod in build(text).pods] == ["istio-ingressgateway-0"]


SERVERS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"]}
    - {port: {number: 31400, name: tcp, protocol: TCP}, hosts: ["*"]}
    - {port: {number: 8888, name: odd, protocol: "http/2"}, hosts: ["*"]}
---
"""


def test_the_usual_gateway_mounts_the_secrets_of_istios_charts(build: Build) -> None:
    (pod,) = build(GATEWAY.replace("SELECTED", "ingressgateway")).pods
    assert [(mount.path, mount.name) for mount in pod.mounts] == [
        ("/etc/istio/ingressgateway-certs", "istio-ingressgateway-certs"),
        ("/etc/istio/ingressgateway-ca-certs", "istio-ingressgateway-ca-certs"),
    ]


def test_the_usual_service_offers_every_port_that_servers_name(build: Build) -> None:
    service = build(SERVERS).service("istio-system/istio-ingressgateway")
    assert service is not None
    assert [(port.name, port.number, port.target) for port in service.ports] == [
        ("status-port", 15021, 15021),
        ("http2", 80, 8080),
        ("https", 443, 8443),
        ("tcp-31400", 31400, 31400),
        ("tcp-8888", 8888, 8888),
    ]


def test_a_further_port_leaves_the_pod_as_it_is(build: Build) -> None:
    before, after = build(GATEWAY.replace("SELECTED", "ingressgateway")), build(SERVERS)
    assert before.pods == after.pods


def test_what_the_manifests_bring_of_the_usual_gateway_stays_theirs(build: Build) -> None:
    own = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: web, port: 8000, targetPort: 8080}]}
---
"""
    model = build(SERVERS + own)
    service = model.service("istio-system/istio-ingressgateway")
    assert service is not None
    assert [port.number for port in service.ports] == [8000]
    assert [pod.name for pod in model.pods_behind(service)] == ["istio-ingressgateway-0"]


def test_an_ingress_is_served_by_the_usual_gateway(build: Build) -> None:
    text = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: shop}, spec: {rules: []}}"
    assert [pod.name for pod in build(text).pods] == ["istio-ingressgateway-0"]


def test_the_usual_gateway_gives_way_to_one_of_the_manifests(build: Build, workload: Workload) -> None:
    own = workload("edge", metadata="labels: {app: edge, istio: ingressgateway}")
    assert [pod.name for pod in build(GATEWAY.replace("SELECTED", "ingressgateway") + own).pods] == ["edge-0"]


def test_other_gateways_are_left_to_the_manifests(build: Build) -> None:
    assert build(GATEWAY.replace("SELECTED", "my-gateway")).pods == []
    assert build(GATEWAY.replace("SELECTED", "ingressgateway"), usual_gateways=False).pods == []


def test_a_workload_has_the_proxy_that_is_named_for_it(build: Build, workload: Workload) -> None:
    out = 'annotations: {sidecar.istio.io/inject: "false"}, labels: {app: bare}'
    text = workload("web") + workload("db") + workload("bare", metadata=out)
    found = build(text, proxies={"*": "proxy:1", "default/db": "proxy:2"})
    assert {pod.workload: pod.proxy_image for pod in found.pods} == {
        "web": "proxy:1",
        "db": "proxy:2",
        "bare": "",
    }
    assert {pod.proxy_image for pod in build(text).pods} == {""}
