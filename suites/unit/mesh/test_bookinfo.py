from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load
from meshtest.mesh.ports import standin_ports

ROOT = Path(__file__).parents[3]
OURS = ROOT / "fixtures" / "bookinfo"
THEIRS = Path(os.environ.get("MESHTEST_BOOKINFO", ROOT.parent / "shared" / "data" / "bookinfo"))
"""Istio's own sample, where it is at hand."""


def test_our_bookshop_has_six_workloads_with_their_own_identities() -> None:
    model = build_model(load([OURS]))
    assert {pod.workload: pod.service_account for pod in model.pods} == {
        "productpage-v1": "bookinfo-productpage",
        "details-v1": "bookinfo-details",
        "reviews-v1": "bookinfo-reviews",
        "reviews-v2": "bookinfo-reviews",
        "reviews-v3": "bookinfo-reviews",
        "ratings-v1": "bookinfo-ratings",
    }
    assert all(standin_ports(model, pod) == [(9080, "http")] for pod in model.pods)
    assert {len(backends) for ports in model.cluster_ips.values() for backends in ports.values()} == {1, 3}


@pytest.mark.skipif(
    not THEIRS.is_dir(), reason="Istio's Bookinfo is not at hand; MESHTEST_BOOKINFO names its folder"
)
def test_istios_bookinfo_makes_the_same_pods_as_ours() -> None:
    theirs = build_model(load([THEIRS / "platform" / "bookinfo.yaml"]))
    ours = build_model(load([OURS]))
    assert {pod.identity for pod in theirs.pods} == {pod.identity for pod in ours.pods}
    assert {pod.name for pod in theirs.pods} == {pod.name for pod in ours.pods}


@pytest.mark.parametrize("file", sorted(THEIRS.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_every_file_of_istios_bookinfo_can_be_applied(file: Path) -> None:
    model = build_model(load([OURS]))
    changed = {manifest.ref: manifest for manifest in load([file])}
    kept = [manifest for manifest in model.manifests if manifest.ref not in changed]
    if file.parent.name == "platform":
        kept = []
    after = build_model([*kept, *changed.values()], previous=model)
    assert after.unsupported == []
    assert len(after.manifests) == len(kept) + len(changed)
