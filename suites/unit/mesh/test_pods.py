from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.mesh_config import MeshSettings
from meshtest.mesh.model import PodKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

    Build = Callable[..., MeshModel]
    Workload = Callable[..., str]

NODES = """
apiVersion: v1
kind: Node
metadata: {name: a, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1}}
---
apiVersion: v1
kind: Node
metadata: {name: b, labels: {topology.kubernetes.io/region: us, disk: fast}}
---
"""


def names(model: MeshModel) -> list[str]:
    return [pod.name for pod in model.pods]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("Deployment", "", ["web-0"]),
        ("Deployment", "replicas: 3,", ["web-0", "web-1", "web-2"]),
        ("Deployment", "replicas: 0,", []),
        ("ReplicaSet", "replicas: 2,", ["web-0", "web-1"]),
        ("StatefulSet", "replicas: 2, serviceName: web,", ["web-0", "web-1"]),
        ("StatefulSet", "replicas: 2, ordinals: {start: 5},", ["web-5", "web-6"]),
        ("DaemonSet", "", ["web-0", "web-1"]),
    ],
)
def test_a_workload_makes_its_pods(
    build: Build, workload: Workload, kind: str, spec: str, expected: list[str]
) -> None:
    model = build(NODES + workload("web", kind=kind, spec=spec))
    assert names(model) == expected
    assert all(pod.workload_key == "default/web" and pod.workload_kind == kind for pod in model.pods)


def test_a_bare_pod_is_its_own_workload(build: Build) -> None:
    text = "{apiVersion: v1, kind: Pod, metadata: {name: curl}, spec: {containers: [{name: curl}]}}"
    (pod,) = build(text).pods
    assert (pod.key, pod.workload, pod.workload_kind) == ("default/curl", "curl", "Pod")


def test_a_daemon_set_goes_to_the_nodes_it_selects(build: Build, workload: Workload) -> None:
    (pod,) = build(NODES + workload("web", kind="DaemonSet", pod="nodeSelector: {disk: fast},")).pods
    assert pod.node == "b"


def test_pods_of_a_stateful_set_have_names_of_their_own(build: Build, workload: Workload) -> None:
    (pod,) = build(workload("db", kind="StatefulSet", spec="serviceName: dbs,")).pods
    assert (pod.hostname, pod.subdomain) == ("db-0", "dbs")
    assert pod.labels["apps.kubernetes.io/pod-index"] == "0"
    assert pod.labels["statefulset.kubernetes.io/pod-name"] == "db-0"


def test_the_host_name_is_cut_as_kubernetes_cuts_it(build: Build, workload: Workload) -> None:
    long = "a" * 61 + "-b"
    (pod,) = build(workload(long)).pods
    assert pod.name == f"{long}-0"
    assert pod.host_name == long
    (other,) = build(workload("a" * 62)).pods
    assert other.host_name == "a" * 62  # not with the hyphen that a host name cannot end in


def test_the_service_account_is_the_identity(build: Build, workload: Workload) -> None:
    text = workload("web", pod="serviceAccountName: shop,") + workload("other")
    web, other = build(text, settings=MeshSettings(trust_domain="example.test")).pods
    assert web.identity == "spiffe://example.test/ns/default/sa/shop"
    assert other.identity == "spiffe://example.test/ns/default/sa/default"


@pytest.mark.parametrize(
    ("labels", "annotations", "pod", "namespace", "kind"),
    [
        ("", "", "", "", PodKind.SIDECAR),
        ('sidecar.istio.io/inject: "false"', "", "", "", PodKind.PLAIN),
        ("", 'sidecar.istio.io/inject: "false"', "", "", PodKind.PLAIN),
        ('sidecar.istio.io/inject: "true"', 'sidecar.istio.io/inject: "false"', "", "", PodKind.SIDECAR),
        ("sidecar.istio.io/inject: perhaps", "", "", "", PodKind.SIDECAR),
        ("", "", "", "istio-injection: enabled", PodKind.SIDECAR),
        ("", "", "", "istio-injection: disabled", PodKind.PLAIN),
        ('sidecar.istio.io/inject: "true"', "", "", "istio-injection: disabled", PodKind.PLAIN),
        ("", "", "", "istio.io/rev: canary", PodKind.SIDECAR),
        ("", "", "hostNetwork: true,", "", PodKind.PLAIN),
        ("", "inject.istio.io/templates: gateway", "", "", PodKind.GATEWAY),
        ("", "inject.istio.io/templates: gateway", "", "istio-injection: disabled", PodKind.PLAIN),
        ("istio: ingressgateway", "", "", "", PodKind.GATEWAY),
        ("istio: ingress", "", "", "", PodKind.SIDECAR),
    ],
)
def test_who_gets_a_sidecar(
    build: Build,
    workload: Workload,
    *,
    labels: str,
    annotations: str,
    pod: str,
    namespace: str,
    kind: PodKind,
) -> None:
    metadata = f"labels: {{app: web, {labels}}}, annotations: {{{annotations}}}"
    text = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: default, labels: {{{namespace}}}}}}}\n---"
    (made,) = build(text + workload("web", metadata=metadata, pod=pod)).pods
    assert made.kind is kind


def test_a_proxy_that_routes_is_a_gateway_without_injection(build: Build) -> None:
    box = "{name: istio-proxy, image: proxyv2, args: [proxy, router]}"
    text = f"{{apiVersion: v1, kind: Pod, metadata: {{name: edge}}, spec: {{containers: [{box}]}}}}"
    assert build(text).pods[0].kind is PodKind.GATEWAY


@pytest.mark.parametrize("namespace", ["istio-system", "kube-system"])
def test_the_cluster_itself_gets_no_sidecars(build: Build, namespace: str) -> None:
    metadata = f"{{name: a, namespace: {namespace}}}"
    text = f"{{apiVersion: v1, kind: Pod, metadata: {metadata}, spec: {{containers: [{{name: a}}]}}}}"
    assert build(text).pods[0].kind is PodKind.PLAIN


def test_the_injector_leaves_labels(build: Build, workload: Workload) -> None:
    labels = "labels: {app: web, app.kubernetes.io/name: shop, version: v2}"
    (pod,) = build(workload("web", metadata=labels)).pods
    assert pod.labels["security.istio.io/tlsMode"] == "istio"
    assert pod.labels["service.istio.io/canonical-name"] == "shop"
    assert pod.labels["service.istio.io/canonical-revision"] == "v2"


def test_a_pod_without_sidecar_keeps_its_labels(build: Build, workload: Workload) -> None:
    (pod,) = build(workload("web", metadata='labels: {app: web, sidecar.istio.io/inject: "false"}')).pods
    assert pod.labels == {"app": "web", "sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize(
    ("labels", "pod", "locality"),
    [
        ("", "nodeName: a,", "eu/eu-1"),
        ("", "nodeSelector: {disk: fast},", "us"),
        ("istio-locality: asia.tokyo.rack1", "nodeName: a,", "asia/tokyo/rack1"),
        ("", "nodeName: elsewhere,", ""),
    ],
)
def test_where_a_pod_is(build: Build, workload: Workload, labels: str, pod: str, locality: str) -> None:
    text = NODES + workload("web", metadata=f"labels: {{app: web, {labels}}}", pod=pod)
    assert build(text).pods[0].locality == locality


def test_replicas_are_spread_over_nodes_unless_placed(build: Build, workload: Workload) -> None:
    text = NODES + workload("web", spec="replicas: 4,")
    model = build(text, placement={"default/web-3": "a"})
    assert [pod.node for pod in model.pods] == ["a", "b", "a", "a"]
    assert {pod.node for pod in build(text, placement={"default/web": "b"}).pods} == {"b"}


def test_aliases_of_hosts(build: Build, workload: Workload) -> None:
    aliases = (
        "hostAliases: [{ip: 10.1.2.3, hostnames: [db, db.example]}, {ip: 10.1.2.4, hostnames: [cache]}],"
    )
    (pod,) = build(workload("web", pod=aliases)).pods
    assert pod.host_aliases == {"db": "10.1.2.3", "db.example": "10.1.2.3", "cache": "10.1.2.4"}
    with pytest.raises(ManifestError, match=r"hostAliases\[0\]\.ip: '10' is no IPv4 address"):
        build(workload("web", pod="hostAliases: [{ip: '10', hostnames: [db]}],"))


def test_containers_are_known_as_far_as_they_can_be_run(build: Build) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  initContainers:
  - {name: istio-init, image: "istio/proxyv2:1"}
  - {name: prepare, image: "prepare:1", command: [/go], ports: [{containerPort: 1}]}
  - {name: logs, restartPolicy: Always, ports: [{containerPort: 9000, name: logs}]}
  containers:
  - name: app
    image: shop:1
    command: [/app]
    args: [--port=80]
    env: [{name: MODE, value: test}, {name: SECRET, valueFrom: {secretKeyRef: {name: a, key: b}}}]
    ports: [{containerPort: 80, name: http}, {containerPort: 53, protocol: UDP}]
"""
    (pod,) = build(text).pods
    (container,) = pod.containers
    assert (container.command, container.args) == (("/app",), ("--port=80",))
    assert [(each.name, each.value) for each in container.variables] == [("MODE", "test"), ("SECRET", "")]
    assert [(each.name, each.image, each.command) for each in pod.preparing] == [
        ("prepare", "prepare:1", ("/go",))
    ]
    assert [(port.number, port.name, port.protocol) for port in pod.ports] == [
        (80, "http", "TCP"),
        (53, "", "UDP"),
        (9000, "logs", "TCP"),
    ]


def test_groups_of_a_pod(build: Build, workload: Workload) -> None:
    (pod,) = build(workload("web", pod="securityContext: {fsGroup: 7, supplementalGroups: [8, 7]},")).pods
    assert (pod.containers[0].group, pod.containers[0].groups) == (7, (8, 7))
    (pod,) = build(workload("web")).pods
    assert (pod.containers[0].group, pod.containers[0].groups) == (None, ())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spec": "replicas: -1,"}, "mesh.yaml:6: spec.replicas: -1 replicas; expected 0 or more"),
        ({"spec": "replica: 2,"}, "mesh.yaml:6: spec.replica: unknown field; did you mean 'replicas'?"),
        (
            {"pod": "serviceAcountName: a,"},
            "spec.template.spec.serviceAcountName: unknown field; did you mean 'serviceAccountName'?",
        ),
        ({"spec": "replicas: two,"}, "spec.replicas: 'two' is not a whole number"),
        ({"metadata": "labels: {app: other}"}, "spec.selector: does not match the labels of the template"),
        ({"metadata": "labels: {app: web, x: 'a b'}"}, "spec.template.metadata.labels.x: 'a b' cannot"),
        ({"metadata": "labels: {app: web, x: 5}"}, "spec.template.metadata.labels.x: 5 is not a text"),
        (
            {"pod": "securityContext: {supplementalGroups: [staff]},"},
            "securityContext.supplementalGroups: ['staff'] is no list of groups; expected such as [2000]",
        ),
        ({"pod": "securityContext: {fsGroup: staff},"}, "fsGroup: 'staff' is not a whole number"),
        ({"pod": "hostNetwork: 1,"}, "spec.template.spec.hostNetwork: 1 is neither true nor false"),
        (
            {"metadata": "labels: {app: web, istio.io/dataplane-mode: ambient}"},
            "ambient mode is not supported",
        ),
        (
            {
                "metadata": "labels: {app: web}, annotations: "
                "{traffic.sidecar.istio.io/excludeInboundPorts: http}"
            },
            "mesh.yaml:7: spec.template.metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]: 'http' is",
        ),
    ],
)
def test_wrong_workloads_are_told(
    build: Build, workload: Workload, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        build(workload("web", **arguments))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a}]}}", "spec.selector: missing"),
        ("selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}}", "containers: missing"),
        (
            "selector: {matchExpressions: [{key: a, operator: Is}]}, template: {metadata: {labels: {a: b}}}",
            "spec.selector.matchExpressions[0].operator: no operator 'Is'",
        ),
        ("selector: [a]", "spec.selector: ['a'] is not a mapping"),
    ],
)
def test_incomplete_workloads_are_told(build: Build, spec: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        build(f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{{spec}}}}}")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", "[web, shop]", True),
        ("In", "[shop]", False),
        ("NotIn", "[shop]", True),
        ("Exists", "[]", True),
        ("DoesNotExist", "[]", False),
    ],
)
def test_selectors_may_be_expressions(build: Build, operator: str, values: str, *, fits: bool) -> None:
    expression = f"{{key: app, operator: {operator}, values: {values}}}"
    spec = (
        f"selector: {{matchExpressions: [{expression}]}}, "
        "template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a}]}}"
    )
    text = f"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{{spec}}}}}"
    if fits:
        assert names(build(text)) == ["web-0"]
    else:
        with pytest.raises(ManifestError, match="does not match"):
            build(text)


def test_two_workloads_of_one_name_are_an_error(build: Build, workload: Workload) -> None:
    with pytest.raises(ManifestError) as caught:
        build(workload("web") + workload("web", kind="StatefulSet"))
    assert "StatefulSet default/web has the name of the Deployment at mesh.yaml:2" in str(caught.value)


def test_two_pods_of_one_name_are_an_error(build: Build, workload: Workload) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: web-0}, spec: {containers: [{name: a}]}}\n---"
    with pytest.raises(
        ManifestError, match=r"pod default/web-0 is also made by Pod default/web-0 at mesh.yaml:1"
    ):
        build(pod + workload("web"))


def test_pods_keep_their_addresses(build: Build, workload: Workload) -> None:
    first = build(workload("a") + workload("b"))
    second = build(workload("c") + workload("b"), previous=first)
    before, after = ({pod.name: pod.ip for pod in model.pods} for model in (first, second))
    assert before == {"a-0": "10.244.0.2", "b-0": "10.244.0.3"}
    assert after == {"b-0": "10.244.0.3", "c-0": "10.244.0.4"}


def test_a_pod_that_becomes_somebody_else_has_another_address(build: Build, workload: Workload) -> None:
    first = build(workload("a") + workload("b"))
    others = "".join(workload(name, pod="serviceAccountName: other,") for name in "ab")
    second = build(others + workload("c"), previous=first)
    third = build(others + workload("c"), previous=second)
    assert not {pod.ip for pod in second.pods} & {pod.ip for pod in first.pods}
    assert [pod.ip for pod in third.pods] == [pod.ip for pod in second.pods]


POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web, istio-locality: eu.one}}
spec: {containers: [{name: a, image: a}]}
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("app: web", "app: web", True),
        ("app: web", "app: other", True),
        ("eu.one", "us.two", True),
        ("image: a", "image: b", False),
        ("app: web,", 'app: web, sidecar.istio.io/inject: "false",', False),
        ("labels", "annotations: {sidecar.istio.io/interceptionMode: REDIRECT}, labels", False),
    ],
)
def test_a_pod_of_its_own_goes_on_with_other_labels(build: Build, old: str, new: str, *, same: bool) -> None:
    first = build(POD)
    (pod,) = build(POD.replace(old, new), previous=first).pods
    assert pod.goes_on(first.pods[0]) is same
    assert not pod.goes_on(None)


def test_pods_of_a_workload_are_made_anew_for_other_labels(build: Build, workload: Workload) -> None:
    first = build(workload("web"))
    (pod,) = build(workload("web", metadata="labels: {app: web, a: b}"), previous=first).pods
    assert not pod.goes_on(first.pods[0])
    assert first.pods[0].goes_on(first.pods[0])
