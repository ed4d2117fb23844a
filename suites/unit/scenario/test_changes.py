# ruff: noqa: E501 - tables of one line per mistake read best unbroken
from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ManifestError, ScenarioError
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text
from meshtest.scenario import resolve
from meshtest.scenario.changes import find, in_order, states

POLICY = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: locked}, spec: {}}"


def changes(files: Any, *lines: str, **parts: str) -> Any:
    return files.one("\n".join(["changes:", *(f"  - {line}" for line in lines)]), **parts).changes


def test_a_manifest_may_stand_in_the_change_itself(files: Any) -> None:
    (change,) = changes(files, f"apply: {POLICY}")
    (manifest,) = change.apply
    assert (str(manifest.ref), change.at, change.name) == (
        "AuthorizationPolicy default/locked",
        None,
        "change",
    )
    assert manifest.location.line == change.location.line == 9
    assert manifest.lines["spec"] == 9
    assert change.words == "apply AuthorizationPolicy default/locked"


def test_files_and_manifests_may_be_mixed(files: Any) -> None:
    (files.folder / "two.yaml").write_text(
        f"{POLICY}\n---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: a}}}}"
    )
    (files.folder / "more.yaml").write_text(POLICY.replace("locked", "more"))
    (change,) = changes(files, f"apply: ['two.yaml', '*ore.yaml', {POLICY.replace('locked', 'inline')}]")
    assert [each.ref.name for each in change.apply] == ["locked", "a", "more", "inline"]
    assert change.apply[1].location.file.endswith("two.yaml")


def test_what_is_deleted_is_named_as_kubectl_does(files: Any) -> None:
    (change,) = changes(files, "delete: [Service/ratings, Namespace/a, VirtualService/shop/web]")
    assert [str(each) for each in change.delete] == [
        "Service default/ratings", "Namespace default/a", "VirtualService shop/web",
    ]  # fmt: skip


def test_variables_are_filled_in(files: Any) -> None:
    text = files.text(
        "matrix: {name: [a, b]}", f"changes: [{{at: 1s, apply: {POLICY.replace('locked', chr(34) + '${name}' + chr(34))}}}]",
        traffic="traffic: {from: reviews-v2, request: http://ratings:9080/, rate: 10/s, for: 2s}",
    )  # fmt: skip
    found = [scenario.changes[0] for scenario in files.load(text)]
    assert [each.apply[0].ref.name for each in found] == ["a", "b"]
    assert {each.at for each in found} == {1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{at: 1s}", "s.mesh.yaml:9: spec.changes[0]: neither apply nor delete stands here; expected one of them for each item"),
        (f"{{apply: {POLICY}, delete: Service/a}}", "spec.changes[0]: apply and delete both stand here"),
        ("{apply: gone.yaml}", "s.mesh.yaml:9: spec.changes[0].apply: nothing stands at 'gone.yaml'; expected a file or folder, relative to "),
        ("{apply: 7}", "spec.changes[0].apply: 7 is no manifest; expected a path, relative to this file, or a manifest"),
        ("{delete: ratings}", "s.mesh.yaml:9: spec.changes[0].delete: 'ratings' names no object; expected KIND/NAME or KIND/NAMESPACE/NAME"),
        ("{delete: {kind: Service}}", "spec.changes[0].delete: a mapping names no object"),
        ("{aply: a}", "spec.changes[0].aply: unknown key 'aply'; expected apply, at, delete or name; did you mean 'apply'?"),
        (f"{{apply: {POLICY}, at: soon}}", "spec.changes[0].at: 'soon' is not a duration"),
    ],
)  # fmt: skip
def test_mistakes(files: Any, change: str, message: str) -> None:
    assert message in files.error(f"changes:\n  - {change}")


def test_a_manifest_that_is_none_is_told_with_its_line(files: Any) -> None:
    text = files.text("changes:\n  - apply: {apiVersion: v1, metadata: {name: a}}")
    with pytest.raises(ManifestError, match=r"s\.mesh\.yaml:9: kind: missing"):
        files.load(text)


@pytest.mark.parametrize(
    "parts",
    [{}, {"traffic": "traffic: {from: a, request: http://b/, rate: 10/s, for: 1s}"}],
    ids=["closed loop", "in time"],
)
def test_a_change_after_the_traffic_is_refused_where_its_end_is_known(
    files: Any, parts: dict[str, str]
) -> None:
    if not parts:
        assert changes(files, f"{{at: 9s, apply: {POLICY}}}")[0].at == 9.0
        return
    message = "spec.changes[0].at: the change comes at 1s, but the traffic ends at 1s; expected at before the traffic's end"
    assert message in files.error(f"changes: [{{at: 1s, apply: {POLICY}}}]", **parts)


def test_times_count_over_all_traffic_that_is_sent_meanwhile(files: Any) -> None:
    traffic = (
        "traffic:\n  - {from: a, request: http://b/, rate: 10/s, for: 1s}\n"
        "  - {from: a, request: http://b/, rate: 10/s, for: 1s}\n"
        "  - {from: a, request: http://b/, rate: 10/s, for: 9s, phase: after}"
    )
    assert changes(files, f"{{at: 1500ms, apply: {POLICY}}}", traffic=traffic)[0].at == 1.5
    assert "ends at 2s" in files.error(f"changes: [{{at: 2s, apply: {POLICY}}}]", traffic=traffic)


def test_phases_need_something_to_be_before_or_after(files: Any) -> None:
    traffic = "traffic: {from: a, request: http://b/, phase: before}"
    assert "spec.traffic[0].phase: before what? The scenario has neither faults nor changes" in files.error(
        traffic=traffic
    )
    assert "spec.expect[0].where.change: the scenario has no change" in files.error(
        expect="expect: [{status: 200, where: {change: after}}]"
    )


def test_names_are_distinct(files: Any) -> None:
    found = changes(files, f"apply: {POLICY}", f"{{name: mine, apply: {POLICY}}}", "delete: Service/ratings")
    assert [each.name for each in found] == ["change-1", "mine", "change-3"]
    twice = f"{{name: a, apply: {POLICY}}}"
    assert "'a' is the name of another change" in files.error(f"changes: [{twice}, {twice}]")


def test_they_are_made_in_the_order_of_their_times(files: Any) -> None:
    found = changes(
        files, f"{{name: late, at: 2s, apply: {POLICY}}}", f"{{name: soon, at: 0s, apply: {POLICY}}}",
        f"{{name: first, apply: {POLICY}}}", f"{{name: also-late, at: 2s, apply: {POLICY}}}",
    )  # fmt: skip
    assert [each.name for each in in_order(found)] == ["first", "soon", "late", "also-late"]


def test_the_mesh_after_each_change(files: Any) -> None:
    found = changes(
        files,
        "{at: 2s, delete: AuthorizationPolicy/locked}",
        f"{{at: 1s, apply: {POLICY}}}",
        "delete: Service/ratings",
    )
    given = load_text("{apiVersion: v1, kind: Service, metadata: {name: ratings}}")
    held = [[str(each.ref) for each in state] for state in states(found, given)]
    assert held == [[], ["AuthorizationPolicy default/locked"], []]


def test_what_is_not_there_cannot_be_deleted(files: Any) -> None:
    (change,) = changes(files, "delete: Service/rating")
    given = load_text("{apiVersion: v1, kind: Service, metadata: {name: ratings}}")
    with pytest.raises(ScenarioError) as caught:
        list(states([change], given))
    assert str(caught.value).endswith(
        "s.mesh.yaml:9: changes.delete: Service default/rating is not in the mesh, so it cannot be deleted; "
        "expected one of Service default/ratings; did you mean 'Service default/ratings'?"
    )


def test_an_object_of_no_namespace_needs_none(files: Any) -> None:
    (change,) = changes(files, "delete: Namespace/a")
    (manifest,) = load_text("{apiVersion: v1, kind: Namespace, metadata: {name: a}}")
    assert find(change.delete[0], [manifest]) is manifest


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: a, image: a}]}}
"""


def test_checks_may_be_about_pods_that_a_change_brings_and_traffic_may_not(files: Any) -> None:
    now, later = (
        build_model(load_text("---".join(DEPLOYMENT.replace("NAME", name) for name in names)))
        for names in (["old"], ["old", "new"])
    )
    traffic = "traffic: {from: old, request: http://old/}"
    resolve(files.one(traffic=traffic, expect="expect: [answeredBy: new]"), now, [later])
    with pytest.raises(ScenarioError, match="no workload or pod 'new'"):
        resolve(files.one(traffic=traffic, expect="expect: [answeredBy: new]"), now)
    with pytest.raises(ScenarioError, match="no workload or pod 'new'"):
        resolve(files.one(traffic="traffic: {from: new, request: http://old/}"), now, [later])
