from __future__ import annotations

from typing import Any

import pytest

Pair = Any  # conftest.py's; test folders are no packages


def test_callee_knows_http_of_the_mesh_by_its_alpn(mesh: Pair) -> None:
    mesh.get()
    assert mesh.bench.line(mesh.callee)["layer"] == "http"


@pytest.mark.parametrize(("override", "layer"), [("false", "tcp"), ("true", "http")])
def test_istiods_switch_in_the_clusters_metadata_is_heeded(mesh: Pair, override: str, layer: str) -> None:
    metadata = {"filter_metadata": {"istio": {"alpn_override": override}}}
    mesh.bench.update((mesh.caller, [mesh.cluster(metadata=metadata)]))
    mesh.get()
    assert mesh.bench.line(mesh.callee)["layer"] == layer


def test_other_metadata_changes_nothing(mesh: Pair) -> None:
    metadata: dict[str, Any] = {"filter_metadata": {"istio": {"services": []}, "other": {}}}
    mesh.bench.update((mesh.caller, [mesh.cluster(metadata=metadata)]))
    mesh.get()
    assert mesh.bench.line(mesh.callee)["layer"] == "http"
