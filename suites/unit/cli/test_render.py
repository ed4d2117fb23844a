from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from suites.unit.cli.conftest import RETRIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said

pytestmark = pytest.mark.usefixtures("engine", "shop")


def test_everything_of_a_workload_as_yaml(cli: Callable[..., Said]) -> None:
    found = yaml.safe_load(cli("render", "web", "k8s").out)
    assert list(found) == ["listeners", "clusters", "routes", "endpoints"]
    assert "virtualInbound" in found["listeners"]
    assert "outbound|8080||stock.default.svc.cluster.local" in found["clusters"]


def test_a_filter_of_istios_own_envoy_hides_nothing_else(cli: Callable[..., Said]) -> None:
    found = yaml.safe_load(cli("render", "web", "k8s", "--type", "listeners", "--name", "0.0.0.0_8080").out)
    (manager,) = found["listeners"]["0.0.0.0_8080"]["filter_chains"][0]["filters"]
    filters = [one["name"] for one in manager["typed_config"]["http_filters"]]
    assert "istio.alpn" in filters
    assert filters[-1] == "envoy.filters.http.router"


def test_one_type_and_part_of_a_name_as_json(cli: Callable[..., Said]) -> None:
    found = json.loads(
        cli("render", "default/web", "k8s", "--type", "clusters", "--name", "stock", "--json").out
    )
    assert list(found) == ["clusters"]
    assert list(found["clusters"]) == ["outbound|8080||stock.default.svc.cluster.local"]


def test_what_a_policy_changes(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "retries.yaml").write_text(RETRIES)
    said = cli("render", "web", "k8s", "--against", "retries.yaml")
    assert said.out.startswith("--- k8s\n+++ k8s + retries.yaml\n")
    assert any(line.strip("+ ") == "num_retries: 7" for line in said.out.splitlines() if line.startswith("+"))


def test_what_changes_nothing(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "same.yaml").write_text("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other}\n")
    said = cli("render", "web", "k8s", "--against", "same.yaml", "--type", "routes")
    assert (said.status, said.out, said.err) == (0, "", "no difference for web\n")


def test_the_mesh_configuration_counts(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "mesh.yaml").write_text("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n")
    said = cli("render", "web", "k8s", "--type", "routes", "--mesh-config", "mesh.yaml")
    assert "name: block_all" in said.out


def test_a_workload_that_is_not_there(cli: Callable[..., Said]) -> None:
    said = cli("render", "wep", "k8s")
    assert said.status == 2
    assert "did you mean 'default/web'?" in said.err


def test_manifests_that_a_cluster_would_refuse(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "bad.yaml").write_text(RETRIES.replace("attempts", "atempts"))
    said = cli("render", "web", "k8s")
    assert said.status == 2
    assert said.err.startswith("k8s/bad.yaml:6: ")


def test_a_workload_without_sidecar(cli: Callable[..., Said], shop: Path) -> None:
    text = (shop / "k8s" / "shop.yaml").read_text()
    (shop / "k8s" / "shop.yaml").write_text(
        text.replace("{app: web}}\n    spec", '{app: web, sidecar.istio.io/inject: "false"}}\n    spec')
    )
    said = cli("render", "web", "k8s")
    assert said.status == 2
    assert said.err == "meshtest: default/web has no sidecar, so istiod makes no configuration for it\n"


def test_a_mistake_in_the_mesh_configuration_is_told_at_its_line(
    cli: Callable[..., Said], shop: Path
) -> None:
    (shop / "mesh.yaml").write_text("rootNamespace: office\ntrustDomian: a\n")
    said = cli("render", "web", "k8s", "--mesh-config", "mesh.yaml")
    assert said.status == 2
    assert said.err == (
        "mesh.yaml:2: meshConfig.trustDomian: unknown field 'trustDomian'; did you mean 'trustDomain'?\n"
    )
