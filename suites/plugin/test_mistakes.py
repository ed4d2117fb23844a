"""Every mistake in a file is one error with file and line at collection, and nothing is started for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NEGATIVE = "{destination: {host: reviews}, weight: -1}"


def policy(kind: str, group: str, spec: str) -> str:
    return f"---\napiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: it}}\nspec:\n  {spec}\n"


# The scenario ends on line 10, so policies begin behind a `---` on line 11.
MISTAKES = {
    "unknown-key": (
        {"more": "fualts: []"},
        "",
        "8: spec.fualts: unknown key 'fualts'; expected *; did you mean 'faults'?",
    ),
    "wrong-type": (
        {"requests": "many"},
        "",
        "7: spec.traffic.requests: 'many' is not a whole number; expected *",
    ),
    "unknown-check": (
        {"expect": "statsu: 200"},
        "",
        "10: spec.expect[[]0[]].statsu: unknown check 'statsu'; expected *; did you mean 'status'?",
    ),
    "unknown-caller": (
        {"more": "calls: {productpage-v1: [reviewz]}"},
        "",
        "8: spec.calls.productpage-v1: no workload or service 'reviewz' in the mesh; *; did you mean 'reviews'?",
    ),
    "unsupported-kind": (
        {},
        policy("Widget", "example.com", "{}"),
        '13: kind: unsupported kind "Widget" of example.com/v1*',
    ),
    "broken-yaml": ({}, "  oops: [\n", "12: broken YAML: *"),
    "unknown-field": (
        {},
        policy("VirtualService", "networking.istio.io", "{hosts: [reviews], htpp: []}"),
        "16: spec.htpp: VirtualService default/it: unknown field; did you mean 'http'?",
    ),
    "wrong-enum": (
        {},
        policy("PeerAuthentication", "security.istio.io", "mtls: {mode: STRIKT}"),
        '16: spec.mtls.mode: PeerAuthentication default/it: Unsupported value: "STRIKT": *; did you mean *STRICT*',
    ),
    "negative-weight": (
        {},
        policy(
            "VirtualService", "networking.istio.io", f"{{hosts: [reviews], http: [{{route: [{NEGATIVE}]}}]}}"
        ),
        "1[0-9]: *VirtualService default/it: *weight*",
    ),
    "custom-without-provider": (
        {},
        policy("AuthorizationPolicy", "security.istio.io", "{action: CUSTOM, rules: [{}]}"),
        "1[0-9]: *AuthorizationPolicy default/it: *provider.name*must not be empty",
    ),
}
FILES = {
    "empty": (
        "",
        "1: the file is empty; expected a document with apiVersion: meshtest.dev/v1 and kind: Scenario",
    ),
    "no-scenario": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
        "1: a manifest stands before the first *",
    ),
}


@pytest.fixture(scope="module")
def run(shared_project: Any, make_scenario: Any, bookinfo: Path) -> Any:
    """One collection of all mistakes; MESHTEST_ENVOY leads nowhere, so that starting a pod would be an error."""
    for name, (parts, after, _) in MISTAKES.items():
        shared_project.write(f"{name}.mesh.yaml", make_scenario(name, **parts) + after)
    for name, (text, _) in FILES.items():
        shared_project.write(f"{name}.mesh.yaml", text)
    nowhere = make_scenario("no-manifests").replace(str(bookinfo), "nowhere")
    shared_project.write("no-manifests.mesh.yaml", nowhere)
    shared_project.write("sound.mesh.yaml", make_scenario("sound"))
    return shared_project.run(MESHTEST_ENVOY="/nonexistent")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_error_with_file_and_line(run: Any, name: str) -> None:
    assert run.text.count(f"{name}.mesh.yaml:") == 1
    run.has(f"{name}.mesh.yaml:{MISTAKES[name][2]}")


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_scenario_is_an_error(run: Any, name: str) -> None:
    assert run.text.count(f"{name}.mesh.yaml:") == 1
    run.has(f"{name}.mesh.yaml:{FILES[name][1]}")


def test_manifests_that_are_not_there_are_an_error(run: Any) -> None:
    run.has(
        "no-manifests.mesh.yaml:6: spec.manifests[[]0[]]: nothing stands at 'nowhere'; expected a file or folder*"
    )


def test_collection_is_interrupted_and_nothing_is_started(run: Any) -> None:
    assert run.code == pytest.ExitCode.INTERRUPTED
    run.has("*Interrupted: 13 errors during collection*")
    assert "Traceback" not in run.text
    assert "/nonexistent" not in run.text
    assert not (run.folder / "reports").exists()


def test_a_mistake_is_told_where_there_is_no_engine(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a", requests="many"))
    run = project.run(MESHTEST_ISTIOD="/nonexistent")
    run.has("a.mesh.yaml:7: spec.traffic.requests: 'many' is not a whole number*")


def test_without_engine_and_go_the_error_says_what_to_do(project: Any, make_scenario: Any) -> None:
    project.write("a.mesh.yaml", make_scenario("a"))
    project.write("b.mesh.yaml", make_scenario("b"))
    for package in ("go", "meshtest_istiod"):  # hides installed ones
        project.write(f"hidden/{package}/__init__.py", "")
    run = project.run(
        MESHTEST_ISTIOD="", PATH="/nonexistent", XDG_CACHE_HOME=str(project.folder / "cache"),
        PYTHONPATH=str(project.folder / "hidden"),
    )  # fmt: skip
    assert run.code == pytest.ExitCode.INTERRUPTED
    run.has(
        "the istiod engine has to be built once, with Go >= *; no Go was found: pip install 'meshtest?build?'*"
    )
    assert "Traceback" not in run.text
