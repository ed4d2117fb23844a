"""What the pool of meshes decides without a mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import EngineError, ScenarioError
from meshtest.runner.pool import MeshPool, PoolOptions
from meshtest.runner.topology import options_here, sources_of
from meshtest.scenario.loader import load

BOOKINFO = Path(__file__).resolve().parents[3] / "fixtures" / "bookinfo"


@pytest.fixture
def pool(tmp_path: Path) -> MeshPool:
    return MeshPool(PoolOptions(root=tmp_path))


def test_a_seed_that_is_given_is_kept() -> None:
    assert MeshPool(PoolOptions(seed=0)).seed == 0


def test_without_a_seed_each_run_has_one_of_its_own() -> None:
    assert MeshPool(PoolOptions()).seed != MeshPool(PoolOptions()).seed


def test_manifests_are_read_once(pool: MeshPool) -> None:
    assert pool.manifests([BOOKINFO]) is pool.manifests([BOOKINFO])


def test_the_marker_takes_yaml_too(pool: MeshPool, tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n" + "# what it is for\n" * 300
    (tmp_path / "db.yaml").write_text(text.replace("web", "db"))
    found = pool.manifests(sources_of([text, "db.yaml", BOOKINFO / "versions.yaml"], tmp_path, tmp_path))
    assert [one.ref.name for one in found][:2] == ["web", "db"]
    assert len(found) > 2


def test_the_marker_takes_mappings_and_lists_of_them(pool: MeshPool, tmp_path: Path) -> None:
    first, second = ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}} for name in "ab")
    found = pool.manifests(sources_of([first, [second, BOOKINFO]], tmp_path, tmp_path))
    assert [one.ref.name for one in found][:2] == ["a", "b"]
    with pytest.raises(ScenarioError, match="mesh: 5 is no manifest"):
        sources_of([5], tmp_path, tmp_path)  # type: ignore[list-item]  # that is the point


def test_the_markers_mesh_config_may_be_a_file_beside_the_test(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text("{}", encoding="utf-8")
    options = {"mesh_config": "mesh.yaml", "engine_env": {"PILOT_HTTP10": True}}
    found = options_here(options, tmp_path, Path("/elsewhere"))
    assert found == {"mesh_config": tmp_path / "mesh.yaml", "engine_env": {"PILOT_HTTP10": "true"}}
    assert options_here({"mesh_config": "a: b"}, tmp_path, tmp_path) == {"mesh_config": "a: b"}


def test_a_misspelt_argument_of_the_marker_is_an_error(pool: MeshPool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"mesh_confg": {}}
    with pytest.raises(
        ScenarioError, match=r"mesh: unknown argument 'mesh_confg'; .*did you mean 'mesh_config'?"
    ):
        pool.mesh_for_test([BOOKINFO], tmp_path, runtime="netns", **options)


def test_an_engine_that_is_not_there_is_looked_for_once(
    pool: MeshPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHTEST_ISTIOD", "/nonexistent")
    with pytest.raises(EngineError) as first:
        pool.judge()
    monkeypatch.delenv("MESHTEST_ISTIOD")
    with pytest.raises(EngineError) as second:
        pool.judge()
    assert first.value is second.value
    pool.close()


def test_closing_twice_is_fine(pool: MeshPool) -> None:
    pool.close()
    pool.close()


SCENARIO = """
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {name: metrics}
spec:
  manifests: [%s]
%s
  traffic: {from: reviews-v2, request: {url: "http://ratings:9080/"}}
  expect: [{successRate: {atLeast: 100%%}}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: metrics}
spec: {metrics: [{providers: [{name: prometheus}]}]}
"""


def test_what_only_istios_envoy_acts_on_is_taken_from_a_scenario_that_has_it(
    pool: MeshPool, tmp_path: Path
) -> None:
    path = tmp_path / "a.mesh.yaml"
    path.write_text(SCENARIO % (BOOKINFO, ""))
    with pytest.raises(ScenarioError, match=r"spec.metrics: unsupported"):
        pool.model(load(path)[0])
    path.write_text(SCENARIO % (BOOKINFO, '  proxies: {"*": istio/proxyv2}'))
    assert pool.model(load(path)[0]).manifests
