"""TrafficExtensions with Lua at work: where, for whom, in which order, and what is said of those that Envoy refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ConfigurationRejected, ManifestError

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("fixtures/protocols")

ALICE, LEGACY, URL = "shop/alice", "shop/legacy", "http://server.shop/"
AT_SERVER, AT_ALICE = "selector: {matchLabels: {app: server}}", "selector: {matchLabels: {app: alice}}"
ADD = 'function envoy_on_request(h) h:headers():add("x-lua", "%s") end'


def extension(code: str, spec: str = AT_SERVER, *, name: str = "own", namespace: str = "shop") -> str:
    return f"""
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}, lua: {{inlineCode: '{code}'}}}}
---
"""


def marks(one: Exchange) -> list[str]:
    """What scripts added, in their order."""
    assert one.backend is not None
    return [word for value in one.backend.request.headers.get("x-lua", ()) for word in value.split(",")]


def test_a_script_runs_at_the_sidecars_that_are_selected(mesh: Mesh) -> None:
    mesh.replace(extension(ADD % "server"))
    assert marks(mesh.request(LEGACY, URL)) == ["server"]
    mesh.replace(extension(ADD % "alice", AT_ALICE))
    assert marks(mesh.request(ALICE, URL)) == ["alice"]
    assert marks(mesh.request(LEGACY, URL)) == []


@pytest.mark.parametrize(
    ("mode", "seen"), [("CLIENT", []), ("SERVER", ["here"]), ("CLIENT_AND_SERVER", ["here"])]
)
def test_its_match_says_on_which_side(mesh: Mesh, mode: str, seen: list[str]) -> None:
    mesh.replace(extension(ADD % "here", f"{AT_SERVER}, match: [{{mode: {mode}}}]"))
    assert marks(mesh.request(ALICE, URL)) == seen


def test_its_match_says_at_which_port(mesh: Mesh) -> None:
    mesh.replace(
        extension(ADD % "here", f"{AT_SERVER}, match: [{{mode: SERVER, ports: [{{number: 9999}}]}}]")
    )
    assert marks(mesh.request(ALICE, URL)) == []


def test_those_of_the_root_namespace_are_for_all(mesh: Mesh) -> None:
    mesh.replace(extension(ADD % "all", "match: [{mode: SERVER}]", namespace="istio-system"))
    assert marks(mesh.request(ALICE, URL)) == ["all"]
    mesh.replace(extension(ADD % "all", "match: [{mode: SERVER}]", namespace="office"))
    assert marks(mesh.request(ALICE, URL)) == []


@pytest.mark.parametrize(("first", "second"), [(10, 20), (20, 10)])
def test_the_one_of_higher_priority_comes_first(mesh: Mesh, first: int, second: int) -> None:
    mesh.replace(
        extension(ADD % first, f"{AT_SERVER}, phase: AUTHN, priority: {first}", name="a")
        + extension(ADD % second, f"{AT_SERVER}, phase: AUTHN, priority: {second}", name="b")
    )
    assert marks(mesh.request(ALICE, URL)) == ["20", "10"]


def test_what_runs_before_authorization_decides_what_that_sees(mesh: Mesh) -> None:
    deny = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: marked, namespace: shop}
spec:
  selector: {matchLabels: {app: server}}
  action: DENY
  rules: [{when: [{key: "request.headers[x-lua]", values: [marked]}]}]
---
"""
    mesh.replace(deny, extension(ADD % "marked", f"{AT_SERVER}, phase: AUTHN"))
    assert mesh.request(ALICE, URL).status == 403
    mesh.replace(deny, extension(ADD % "marked", f"{AT_SERVER}, phase: STATS"))
    assert mesh.request(ALICE, URL).status == 200


def test_a_script_may_answer_itself(mesh: Mesh) -> None:
    mesh.replace(extension('function envoy_on_request(h) h:respond({[":status"] = "418"}, "tea") end'))
    one = mesh.request(ALICE, URL)
    assert (one.status, one.body) == (418, b"tea")


def test_a_script_that_envoy_cannot_read_is_named_and_nothing_changes(mesh: Mesh) -> None:
    mesh.replace(extension(ADD % "kept"))
    with pytest.raises(
        ConfigurationRejected, match=r"^<text>:2: TrafficExtension shop/own makes a configuration"
    ):
        mesh.replace(extension("function envoy_on_request("))
    assert marks(mesh.request(ALICE, URL)) == ["kept"]


def test_webassembly_is_refused(mesh: Mesh) -> None:
    wasm = extension("").replace("lua: {inlineCode: ''}", "wasm: {url: oci://registry.example/a}")
    with pytest.raises(
        ManifestError, match=r"^<text>:5: spec.wasm: unsupported: Istio's agent, which fetches"
    ):
        mesh.replace(wasm)
