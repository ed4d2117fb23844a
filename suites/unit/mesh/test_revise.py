"""A mesh of which only policies changed is the one that is built from all its manifests."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.build import BuildOptions, build_model
from meshtest.mesh.kinds import KINDS
from meshtest.mesh.manifests import load, load_text, merge
from meshtest.mesh.objects import identity_of
from meshtest.mesh.revise import POLICIES, revision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshtest.mesh.model import Manifest, MeshModel

BOOKINFO = load([Path(__file__).parents[3] / "fixtures/bookinfo"])
VERSIONS = {(kind.group, kind.name): kind.api_versions[0] for kind in KINDS.values() if kind.versions}


def policy(group: str, kind: str, name: str, namespace: str = "default", labels: str = "") -> Manifest:
    """One whose contents nobody reads here."""
    metadata = f"{{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}"
    (one,) = load_text(
        f"{{apiVersion: {VERSIONS[group, kind]}, kind: {kind}, metadata: {metadata}, spec: {{}}}}"
    )
    return one


def whole(model: MeshModel) -> Mapping[str, Any]:
    """Everything of a model; in which order objects are listed is no part of it, since each bears its time."""
    found = {each.name: getattr(model, each.name) for each in fields(model) if each.name != "basis"}
    found["objects"] = {identity_of(body): body for body in model.objects}
    assert len(found["objects"]) == len(model.objects)
    return found


def built(manifests: Sequence[Manifest], previous: MeshModel) -> MeshModel:
    """Without the short way: other options than those of the model before."""
    return build_model(manifests, previous=previous, options=BuildOptions(switches={"OTHER": "1"}))


@pytest.mark.parametrize(("group", "kind"), sorted(POLICIES))
def test_it_is_the_mesh_that_is_built_from_everything(group: str, kind: str) -> None:
    first, second, changed = (
        policy(group, kind, "first"),
        policy(group, kind, "second", "istio-system"),
        policy(group, kind, "first", labels="other: content"),
    )
    before = build_model(BOOKINFO)
    states = [[first], [second, first], [second, changed], [changed], [changed, second], []]
    for number, policies in enumerate(states):
        manifests = [*BOOKINFO, *policies] if number % 2 else [*policies, *BOOKINFO]
        assert revision(before, manifests) is not None
        found, expected = build_model(manifests, previous=before), built(manifests, before)
        assert whole(found) == whole(expected)
        assert found.pods is before.pods
        before = found


def test_what_shapes_a_mesh_is_built_anew() -> None:
    before = build_model(BOOKINFO)
    assert revision(before, BOOKINFO[1:]) is None
    again = load([Path(__file__).parents[3] / "fixtures/bookinfo"])
    assert revision(before, merge(BOOKINFO, again[:1])) is None
    gateway = load_text(
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: one}, spec: {}}"
    )
    assert revision(before, [*BOOKINFO, *gateway]) is None


def test_a_namespace_comes_and_goes_with_its_first_and_last_policy() -> None:
    alone = policy("security.istio.io", "PeerAuthentication", "alone", "elsewhere")
    before = build_model(BOOKINFO)
    after = build_model([*BOOKINFO, alone], previous=before)
    assert "elsewhere" in {body["metadata"]["name"] for body in after.objects if body["kind"] == "Namespace"}
    assert whole(build_model(BOOKINFO, previous=after))["objects"] == whole(before)["objects"]


def test_policies_are_judged_all_the_same() -> None:
    before = build_model(BOOKINFO)
    metrics = load_text(
        "{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: t}, spec: {metrics: [{}]}}"
    )
    with pytest.raises(ManifestError, match="unsupported"):
        build_model([*BOOKINFO, *metrics], previous=before)
    twice = [policy("security.istio.io", "PeerAuthentication", "one") for _ in range(2)]
    with pytest.raises(ManifestError, match="defined twice"):
        build_model([*BOOKINFO, *twice], previous=before)


def test_other_options_are_another_mesh() -> None:
    before = build_model(BOOKINFO)
    key = before.pods[0].key
    after = build_model(BOOKINFO, previous=before, options=BuildOptions(not_ready=[key]))
    assert [pod.key for pod in after.pods if not pod.ready] == [key]
