from __future__ import annotations

import json

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.manifests import load, load_in_turn, load_text, merge, split
from meshtest.mesh.yaml_source import documents

SERVICE = "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports: [{{port: 80}}]\n"


def test_an_object_knows_what_it_is_and_where_it_stands() -> None:
    (one,) = load_text("# note\n" + SERVICE.format(name="web"), "web.yaml")
    assert str(one.ref) == "Service default/web"
    assert str(one.location) == "web.yaml:2"
    assert one.lines["spec.ports[0].port"] == 7
    assert one.body["metadata"] == {"name": "web", "namespace": "default"}


def test_a_namespace_is_kept_where_it_is_given() -> None:
    (one,) = load_text("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: shop}}")
    assert one.ref.namespace == "shop"


@pytest.mark.parametrize("kind", ["Namespace", "Node"])
def test_cluster_scoped_objects_have_no_namespace(kind: str) -> None:
    (one,) = load_text(f"{{apiVersion: v1, kind: {kind}, metadata: {{name: a, namespace: shop}}}}")
    assert one.ref.namespace == ""
    assert "namespace" not in one.body["metadata"]


def test_lists_are_taken_apart_and_items_keep_their_lines() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: a\n"
    (one,) = load_text(text)
    assert one.ref.name == "a"
    assert one.location.line == 4
    assert one.lines["metadata.name"] == 7


def test_lists_may_hold_lists() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    inner = {"apiVersion": "v1", "kind": "SecretList", "items": [secret]}
    assert len(load_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [inner]}))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "<text>:1: this document is a list; expected an object"),
        ("hello\n", "<text>:1: this document is 'hello'"),
        ("kind: Service\n", "<text>:1: apiVersion: missing; expected one such as v1 or apps/v1"),
        ("apiVersion: v1\n", "<text>:1: kind: missing"),
        ("apiVersion: 1\nkind: Service\n", "<text>:1: apiVersion: 1 is not a text"),
        ("apiVersion: v1\nkind: Service\n", "metadata: missing"),
        ("apiVersion: v1\nkind: Service\nmetadata: [a]\n", "<text>:3: metadata: not a mapping"),
        ("apiVersion: v1\nkind: Service\nmetadata: {labels: {}}\n", "<text>:3: metadata.name: missing"),
        ("{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}", "a generated name"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: 7}}", "metadata.name: 7 is not a text"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: My_Secret}}", "is no DNS-1123 name"),
        ("{apiVersion: v1, kind: Service, metadata: {name: 1a}}", "cannot name a Service"),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: a.b}}", "is no DNS-1123 label"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: B}}", "metadata.namespace: 'B'"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: 1}}", "1 is not a text"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: a, labels: x}}", "metadata.labels: not a mapping"),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a, labels: {version: 1.5}}}",
            'metadata.labels.version: 1.5 is not a text; quote it: "1.5"',
        ),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {a.b/c: yes}}}",
            'metadata.annotations[a.b/c]: true is not a text; quote it: "true"',
        ),
        ("{apiVersion: v1, kind: Secret, metadata: {name: a, labels: {x: 'a b'}}}", "value of a label"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: a, labels: {'a b': x}}}", "key of labels"),
        ("{apiVersion: v1, kind: List, items: 3}", "items: not a list"),
        ("{apiVersion: meshtest.dev/v1, kind: Scenario, metadata: {name: a}}", "is no manifest"),
    ],
)
def test_what_a_cluster_could_not_read_is_told(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_text(text)
    assert message in str(caught.value)


def test_names_of_roles_may_hold_colons() -> None:
    text = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: 'system:a'}}"
    assert load_text(text)[0].ref.name == "system:a"


def test_one_object_twice_names_both_places() -> None:
    text = SERVICE.format(name="web") + "---\n" + SERVICE.format(name="web")
    with pytest.raises(ManifestError) as caught:
        load_text(text, "web.yaml")
    problem = "Service default/web is defined twice; the other stands at web.yaml:1"
    assert str(caught.value) == f"web.yaml:8: {problem}"


def test_another_version_of_an_object_is_the_same_object() -> None:
    text = "{apiVersion: networking.istio.io/%s, kind: VirtualService, metadata: {name: a}}\n---\n"
    with pytest.raises(ManifestError, match="defined twice"):
        load_text(text % "v1" + text % "v1beta1")


def test_of_an_object_in_two_sources_the_later_wins() -> None:
    one, two = SERVICE.format(name="a"), SERVICE.format(name="b") + "---\n" + SERVICE.format(name="a")
    found = load_in_turn([one, two])
    assert [(each.ref.name, each.location.line) for each in found] == [("a", 8), ("b", 1)]
    with pytest.raises(ManifestError, match="defined twice"):
        load_in_turn([one, two + "---\n" + one])


def test_what_is_applied_later_wins() -> None:
    old = load_text(SERVICE.format(name="a") + "---\n" + SERVICE.format(name="b"), "old.yaml")
    new = load_text(SERVICE.format(name="a") + "---\n" + SERVICE.format(name="c"), "new.yaml")
    merged = merge(old, new)
    assert [(one.ref.name, one.location.file) for one in merged] == [
        ("a", "new.yaml"),
        ("b", "old.yaml"),
        ("c", "new.yaml"),
    ]


def test_scenarios_are_split_from_the_manifests_beside_them() -> None:
    text = "apiVersion: meshtest.dev/v1\nkind: Scenario\n---\n" + SERVICE.format(name="web")
    own, manifests = split(documents(text, "a.mesh.yaml"))
    assert [part.value["kind"] for part in own] == ["Scenario"]
    assert [str(one.location) for one in manifests] == ["a.mesh.yaml:4"]


def test_an_operator_needs_no_name_to_be_told_where_its_mesh_config_goes() -> None:
    text = "{apiVersion: install.istio.io/v1alpha1, kind: IstioOperator, spec: {meshConfig: {}}}"
    with pytest.raises(
        ManifestError, match=r"unsupported kind .IstioOperator.*give its meshConfig to meshtest"
    ):
        load([text])
