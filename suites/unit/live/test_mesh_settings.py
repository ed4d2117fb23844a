"""What is said of a scenario's MeshConfig before its mesh is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.runner.collection import models
from meshtest.runner.pool import MeshPool, PoolOptions
from meshtest.scenario.loader import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.scenario.model import Scenario

BOOKINFO = Path(__file__).resolve().parents[3] / "fixtures" / "bookinfo"
SCENARIO = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {name: one}
spec:
  manifests: [%s]
  meshConfig:
    rootNamespace: office
    %s
  traffic: {from: reviews-v2, request: {url: "http://ratings:9080/"}}
  expect: [{successRate: {atLeast: 100%%}}]
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[MeshPool]:
    made = MeshPool(PoolOptions(progress=print))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "trustDomian: a",
            "spec.meshConfig.trustDomian: unknown field 'trustDomian'; did you mean 'trustDomain'?",
        ),
        (
            "defaultConfig: {tracing: {samplng: 1}}",
            "spec.meshConfig.defaultConfig.tracing.samplng: unknown field 'samplng'; did you mean 'sampling'?",
        ),
        (
            "proxyListenPort: 99",
            "spec.meshConfig.proxyListenPort: unsupported: redirect rules lead to the usual port",
        ),
    ],
)
def test_a_mistake_is_told_at_its_line(pool: MeshPool, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.mesh.yaml"
    path.write_text(SCENARIO % (BOOKINFO, line))
    (scenario,) = load(path)
    with pytest.raises(ScenarioError, match=rf"a\.mesh\.yaml:8: {re.escape(said)}$"):
        models(scenario, pool)


@pytest.mark.parametrize("line", ["connectTimeout: 1", "connectTimeout: -1s"])
def test_what_istiod_would_not_take_is_a_mistake_of_the_scenario(
    pool: MeshPool, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "a.mesh.yaml"
    path.write_text(SCENARIO % (BOOKINFO, line))
    (scenario,) = load(path)
    with pytest.raises(ScenarioError, match=r"a\.mesh\.yaml:6: spec.meshConfig: "):
        models(scenario, pool)


def test_a_right_one_is_no_mistake(pool: MeshPool, tmp_path: Path) -> None:
    path = tmp_path / "a.mesh.yaml"
    path.write_text(SCENARIO % (BOOKINFO, "defaultConfig: {tracing: {sampling: 1}}"))
    (scenario,) = load(path)
    assert models(scenario, pool)[0].root_namespace == "office"


INSTALLED = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |-
    rootNamespace: office
    %s
"""
BESIDE = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {name: one}
spec:
  manifests: [%s, installed.yaml]
  traffic: {from: reviews-v2, request: {url: "http://ratings:9080/"}}
  expect: [{successRate: {atLeast: 100%%}}]
"""


def installed(folder: Path, line: str) -> Scenario:
    """A scenario that leaves MeshConfig to the ConfigMap of an installation."""
    (folder / "installed.yaml").write_text(INSTALLED % line)
    (folder / "a.mesh.yaml").write_text(BESIDE % BOOKINFO)
    (scenario,) = load(folder / "a.mesh.yaml")
    return scenario


def test_that_of_the_manifests_holds_where_a_scenario_has_none(pool: MeshPool, tmp_path: Path) -> None:
    (model,) = models(installed(tmp_path, "trustDomain: td.example"), pool)
    assert (model.root_namespace, model.trust_domain) == ("office", "td.example")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trustDomian: a", "data.mesh.trustDomian: unknown field 'trustDomian'; did you mean 'trustDomain'?"),
        (
            "proxyListenPort: 99",
            "data.mesh.proxyListenPort: unsupported: redirect rules lead to the usual port",
        ),
    ],
)
def test_a_mistake_in_the_manifests_is_told_at_its_line(
    pool: MeshPool, tmp_path: Path, line: str, said: str
) -> None:
    with pytest.raises(ScenarioError, match=rf"installed\.yaml:7: {re.escape(said)}$"):
        models(installed(tmp_path, line), pool)


def test_broken_yaml_in_the_manifests_is_told_at_its_line(pool: MeshPool, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"installed\.yaml:8: broken YAML: a \"\[\" is not closed"):
        models(installed(tmp_path, "trustDomain: [a"), pool)
