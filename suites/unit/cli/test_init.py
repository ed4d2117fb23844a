from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.cli.init import pair_of
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text
from meshtest.scenario.loader import load
from suites.unit.cli.conftest import SHOP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said


@pytest.mark.usefixtures("engine")
def test_the_first_scenario_is_valid(cli: Callable[..., Said], shop: Path) -> None:
    assert cli("init").status == 0
    (scenario,) = load(shop / "mesh-tests" / "first.mesh.yaml")
    assert scenario.name == "web-reaches-stock"
    assert [check.kind for check in scenario.expect] == ["status", "mtls"]
    assert cli("validate", "mesh-tests").status == 0


def test_it_says_what_was_found_and_what_comes_next(cli: Callable[..., Said], shop: Path) -> None:
    said = cli("init", str(shop))
    assert said.out.splitlines()[0] == f"found 2 pods and 2 services in {shop / 'k8s'}"
    assert "meshtest run" in said.out.splitlines()[-1]


def test_nothing_is_overwritten(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "mesh-tests").mkdir()
    (shop / "mesh-tests" / "first.mesh.yaml").write_text("mine")
    said = cli("init")
    assert said.status == 2
    assert said.err == "meshtest: mesh-tests/first.mesh.yaml is there already; nothing was written\n"
    assert (shop / "mesh-tests" / "first.mesh.yaml").read_text() == "mine"
    assert not (shop / "mesh-tests" / "README.md").exists()


def test_scenarios_between_the_manifests_are_left_out(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "own.mesh.yaml").write_text("apiVersion: meshtest.dev/v1\nkind: Scenario\n")
    assert cli("init").status == 0
    (scenario,) = load(shop / "mesh-tests" / "first.mesh.yaml")
    assert [one.written for one in scenario.manifests] == ["../k8s/shop.yaml"]


def test_a_folder_without_manifests(cli: Callable[..., Said], here: Path) -> None:
    assert here.is_dir()
    said = cli("init")
    assert said.status == 2
    assert said.err.startswith("meshtest: .: found no manifests with a Service on HTTP")
    assert said.err.endswith("meshtest init DIR\n")


def test_what_is_wrong_with_the_manifests_is_told(cli: Callable[..., Said], here: Path) -> None:
    (here / "a.yaml").write_text("kind: Service\n")
    said = cli("init")
    assert said.status == 2
    assert "a.yaml:1: apiVersion: missing" in said.err


def test_a_lone_workload_calls_itself() -> None:
    pair = pair_of(build_model(load_text(SHOP.partition("metadata: {name: stock}")[0].rpartition("---")[0])))
    assert pair is not None
    assert (pair.caller.workload, pair.url, pair.mtls) == ("web", "http://web:8080/", True)


def test_without_sidecars_no_mtls_is_expected(cli: Callable[..., Said], shop: Path) -> None:
    text = SHOP.replace("{app: web}}\n    spec", '{app: web, sidecar.istio.io/inject: "false"}}\n    spec')
    text = text.replace(
        "{app: stock}}\n    spec", '{app: stock, sidecar.istio.io/inject: "false"}}\n    spec'
    )
    (shop / "k8s" / "shop.yaml").write_text(text)
    assert cli("init").status == 0
    (scenario,) = load(shop / "mesh-tests" / "first.mesh.yaml")
    assert [check.kind for check in scenario.expect] == ["status"]
