from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshtest.cli.judging import files_of
from suites.unit.cli.conftest import RETRIES, SHOP

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said

pytestmark = pytest.mark.usefixtures("engine")

SCENARIO = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {name: web-reaches-stock}
spec:
  manifests: [k8s]
  traffic: {from: web, request: "http://stock:8080/"}
  expect: [{status: 200}]
---
"""


def test_good_manifests_are_nothing_to_complain_about(cli: Callable[..., Said], shop: Path) -> None:
    said = cli("validate", str(shop / "k8s"))
    assert (said.status, said.out) == (0, "")
    assert said.err == "6 objects: nothing to complain about\n"


def test_every_mistake_of_every_file_is_told_with_its_line(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "a.yaml").write_text(RETRIES.replace("attempts", "atempts"))
    (shop / "k8s" / "b.yaml").write_text("kind: Service\n metadata: {}\n")
    (shop / "k8s" / "c.yaml").write_text(
        SHOP.replace("spec:\n  selector: {match", "spec:\n  replica: 2\n  selector: {match")
    )
    (shop / "k8s" / "shop.yaml").unlink()
    said = cli("validate", "k8s")
    lines = said.out.splitlines()
    assert said.status == 1
    assert lines[0] == (
        "k8s/a.yaml:6: error [unknown-field]: VirtualService default/stock: spec.http[0].retries.atempts: "
        "unknown field; did you mean 'attempts'?"
    )
    assert lines[1].startswith("k8s/b.yaml:2: error [manifest]: broken YAML")
    assert [line.partition(": spec")[0] for line in lines[2:]] == [
        "k8s/c.yaml:16: error [manifest]",
        "k8s/c.yaml:39: error [manifest]",
    ]
    assert said.err.endswith("4 errors\n")


def test_what_is_wrong_in_several_objects_is_told_once_for_each(cli: Callable[..., Said], shop: Path) -> None:
    waypoint = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: NAME}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
"""
    (shop / "k8s" / "a.yaml").write_text("".join(waypoint.replace("NAME", name) for name in "abc"))
    said = cli("validate", "k8s/a.yaml")
    assert [line.partition(" error")[0] for line in said.out.splitlines()] == [
        "k8s/a.yaml:4:",
        "k8s/a.yaml:9:",
        "k8s/a.yaml:14:",
    ]
    assert said.err.endswith("3 errors\n")


def test_kinds_that_nothing_acts_on_are_refused_or_allowed(cli: Callable[..., Said], shop: Path) -> None:
    policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\n"
    (shop / "k8s" / "np.yaml").write_text(policy)
    assert cli("validate", "k8s").status == 1
    said = cli("validate", "k8s", "--allow-unsupported")
    assert said.status == 0
    assert said.out.startswith("k8s/np.yaml:1: warning [unsupported]: NetworkPolicy default/x")


def test_what_the_analyzers_say_is_a_warning(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "vs.yaml").write_text(RETRIES.replace("host: stock", "host: stok"))
    said = cli("validate", "k8s")
    assert said.status == 0
    assert "warning [IST0101]" in said.out
    assert "did you mean 'stock'?" in said.out
    assert cli("validate", "k8s", "--strict").status == 1


ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge}, {name: edgee}]
  rules: [{backendRefs: [{name: stok, port: 8080}]}]
"""


def test_what_istiods_status_says_is_a_warning(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "route.yaml").write_text(ROUTE)
    said = cli("validate", "k8s")
    assert said.status == 0
    at = (
        "k8s/route.yaml:10: warning [{}]: HTTPRoute default/shop: spec.parentRefs[{}]: {}; did you mean '{}'?"
    )
    absent = "ResolvedRefs is False: backend(stok.default.svc.cluster.local) not found"
    assert said.out.splitlines() == [
        at.format("BackendNotFound", 0, absent, "stock"),
        at.format("NotAccepted", 1, "no Gateway default/edgee here takes the route", "edge"),
    ]
    (shop / "k8s" / "route.yaml").write_text(ROUTE.replace("stok", "stock").replace(", {name: edgee}", ""))
    assert cli("validate", "k8s").out == ""


def test_what_means_nothing_to_a_mesh_is_named(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "hpa.yaml").write_text(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: x}\n"
    )
    assert "passed over: PodDisruptionBudget" in cli("validate", "k8s").err


def test_standard_input(process: Callable[..., Said], here: Path) -> None:
    assert here.is_dir()
    said = process("validate", "-", stdin=SHOP + RETRIES.replace("hosts", "hots"))
    assert said.status == 1
    assert said.out.startswith("<stdin>:49: error [unknown-field]: VirtualService default/stock: spec.hots")


def test_json_is_a_list_and_nothing_else(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "a.yaml").write_text(RETRIES.replace("atte", "ate"))
    (found,) = json.loads(cli("validate", "k8s", "--json").out)
    assert (found["file"], found["line"], found["fix"]) == ("k8s/a.yaml", 6, "attempts")


def test_sarif_is_written_beside_the_text(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "a.yaml").write_text(RETRIES.replace("attempts", "atempts"))
    said = cli("validate", "k8s", "--sarif", "out.sarif")
    (run,) = json.loads((shop / "out.sarif").read_text())["runs"]
    assert len(run["results"]) == len(said.out.splitlines()) == 1


def test_a_scenario_is_judged_with_its_mesh(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "one.mesh.yaml").write_text(SCENARIO + RETRIES)
    said = cli("validate", ".")
    assert (said.status, said.err) == (0, "1 scenario: nothing to complain about\n")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("request:", "requst:", "error [scenario]: spec.traffic: misses 'request'"),
        (
            "from: web",
            "from: wep",
            "error [scenario]: spec.traffic.from: no workload or pod 'wep' in the mesh",
        ),
        (
            "attempts",
            "atempts",
            "error [unknown-field]: VirtualService default/stock: spec.http[0].retries.atempts",
        ),
        ("[k8s]", "[k9s]", "error [scenario]: spec.manifests[0]: nothing stands at 'k9s'"),
    ],
    ids=["key", "name", "policy", "path"],
)
def test_a_mistake_in_a_scenario(cli: Callable[..., Said], shop: Path, old: str, new: str, told: str) -> None:
    (shop / "one.mesh.yaml").write_text((SCENARIO + RETRIES).replace(old, new, 1))
    said = cli("validate", "one.mesh.yaml")
    assert said.status == 1
    assert told in said.out
    assert said.out.startswith("one.mesh.yaml:")


def test_every_fault_that_could_meet_nothing_is_told(cli: Callable[..., Said], shop: Path) -> None:
    faults = (
        "  faults:\n    - {kill: {replicas: 9}, to: stock}\n    - {certificate: expired, to: web}\n"
        "    - {abort: {httpStatus: 503}, to: web, from: stock}\n    - {limits: {cpu: 100m}, to: stock}\n"
    )
    (shop / "one.mesh.yaml").write_text(SCENARIO.replace("  expect:", f"{faults}  expect:"))
    said = cli("validate", "one.mesh.yaml")
    assert said.status == 1
    nobody = "stock sends nothing in this scenario, so that abort would meet nothing"
    assert [line.partition(";")[0] for line in said.out.splitlines()] == [
        "one.mesh.yaml:8: error [scenario]: kill.replicas: 9 replicas, but stock has 1",
        f"one.mesh.yaml:10: error [scenario]: spec.faults[2].from: {nobody}",
    ]


def test_faults_in_each_others_way_are_told(cli: Callable[..., Said], shop: Path) -> None:
    both = "  faults: [{kill: {}, to: stock}, {pause: {}, to: stock}]\n"
    (shop / "one.mesh.yaml").write_text(SCENARIO.replace("  expect:", f"{both}  expect:"))
    said = cli("validate", "one.mesh.yaml")
    assert "is under kill at that time" in said.out


def test_a_folder_gives_its_manifests_and_the_scenarios_below_it(shop: Path) -> None:
    (shop / "k8s" / "deep").mkdir()
    (shop / "k8s" / "deep" / "one.mesh.yaml").write_text(SCENARIO)
    (shop / "k8s" / "deep" / "not.yaml").write_text(SHOP)
    found = files_of(["k8s"])
    assert found.manifests == ("k8s/shop.yaml",)
    assert [str(path) for path in found.scenarios] == ["k8s/deep/one.mesh.yaml"]


def test_nothing_there_is_an_error(cli: Callable[..., Said], here: Path) -> None:
    assert here.is_dir()
    said = cli("validate", "missing.yaml")
    assert said.status == 1
    assert said.out == "error [manifest]: no such file or folder: missing.yaml\n"


def test_the_mesh_configuration_of_the_manifests_is_judged(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "k8s" / "istio.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
        "data:\n  mesh: |\n    trustDomian: a\n"
    )
    said = cli("validate", "k8s")
    assert said.status == 1
    assert "k8s/istio.yaml:6: error" in said.out
    assert "data.mesh.trustDomian: unknown field 'trustDomian'; did you mean 'trustDomain'?" in said.out
