from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from suites.unit.cli.conftest import RETRIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said

pytestmark = pytest.mark.usefixtures("engine", "shop")

POLICIES = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: stock}
spec:
  selector: {matchLabels: {app: stock}}
  rules:
    - to: [{operation: {paths: [/other]}}]
    - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
      to: [{operation: {methods: [GET]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: stock}
spec:
  hosts: [stock]
  http:
    - match: [{uri: {prefix: /old}}]
      redirect: {uri: /new}
    - match: [{headers: {version: {exact: two}}}]
      rewrite: {uri: /v2}
      route: [{destination: {host: stock}}]
      timeout: 2s
      retries: {attempts: 3, retryOn: 5xx}
    - route: [{destination: {host: stock}}]
      fault: {abort: {httpStatus: 418, percentage: {value: 25}}}
"""


def ask(cli: Callable[..., Said], shop: Path, *words: str, url: str = "http://stock:8080/") -> list[str]:
    (shop / "policies.yaml").write_text(POLICIES)
    said = cli("explain", "web", "GET", url, "k8s", "--apply", "policies.yaml", *words)
    assert said.status == 0, said.err
    return [line.strip() for line in said.out.splitlines()]


def test_route_cluster_identity_and_the_rule_that_allows(cli: Callable[..., Said], shop: Path) -> None:
    found = ask(cli, shop, "--header", "version:two")
    assert (
        "route of virtual host stock.default.svc.cluster.local:8080: VirtualService default/stock (policies.yaml:19)"
        in found
    )
    assert "timeout 2s, 3 retries on 5xx" in found
    assert "sent on as stock:8080/v2" in found
    assert "mTLS from spiffe://cluster.local/ns/default/sa/web" in found
    assert "allowed by AuthorizationPolicy default/stock rule 1 (policies.yaml:8)" in found
    assert found[-1] == "=> answered by the application of default/stock"


def test_a_denial_and_a_share(cli: Callable[..., Said], shop: Path) -> None:
    found = ask(cli, shop, "--header", "version:one")
    assert "=> 25%: 418 the route's fault.abort, from the Envoy of default/web" in found
    assert "=> 75%: answered by the application of default/stock" in found
    post = cli("explain", "web", "POST", "http://stock:8080/", "k8s", "--apply", "policies.yaml").out
    assert "denied: AuthorizationPolicies allow something here, and none of their rules matches" in post
    assert "=> 75%: 403 RBAC: access denied, from the Envoy of default/stock" in post


def test_a_redirect(cli: Callable[..., Said], shop: Path) -> None:
    found = ask(cli, shop, url="http://stock:8080/old/x")
    assert found[-1] == "=> 301 redirect to http://stock:8080/new, from the Envoy of default/web"
    assert any(line.endswith("VirtualService default/stock (policies.yaml:17)") for line in found)


def test_other_endings(cli: Callable[..., Said], shop: Path) -> None:
    assert ask(cli, shop, url="http://nowhere/")[-1] == "=> unresolved: nowhere does not resolve"
    assert ask(cli, shop, url="http://stock:9/")[-1].startswith("=> reset: no pod is behind this port")


def test_json(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "retries.yaml").write_text(RETRIES)
    said = cli("explain", "default/web", "http://stock:8080/a", "k8s", "--apply", "retries.yaml", "--json")
    (way,) = json.loads(said.out)["ways"]
    assert way["outcome"] == "response"
    assert way["workload"] == "default/stock"
    assert way["crossings"][0]["route"]["by"]["location"] == "retries.yaml:6"
    assert way["crossings"][0]["route"]["patience"]["retries"] == 7
    assert way["crossings"][1]["peer"] == "spiffe://cluster.local/ns/default/sa/web"


def test_the_overview(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "policies.yaml").write_text(POLICIES.partition("---")[0])
    said = cli("explain", "k8s", "policies.yaml")
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["CALLER", "SERVICE", "PORT", "VERDICT", "BY"]
    rows = {(line[0], line[1]): line[3:] for line in lines[1:]}
    allowed = ["allowed", "default/stock", "rule", "1", "(policies.yaml:8)"]
    assert rows["default/web", "default/stock"] == allowed
    assert rows["default/stock", "default/stock"] == ["denied", "no", "ALLOW", "rule", "matches"]
    assert rows["default/stock", "default/web"] == ["allowed"]
    assert len(rows) == 4
    one = cli("explain", "stock", "k8s", "policies.yaml", "--path", "/other")
    assert "default/stock  default/stock  8080  allowed  default/stock rule 0 (policies.yaml:7)" in one.out


def test_the_mesh_configuration_counts(cli: Callable[..., Said], shop: Path) -> None:
    (shop / "mesh.yaml").write_text("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n")
    words = ("explain", "web", "GET", "http://10.0.0.1:8080/", "k8s")
    assert "=> answered by" not in cli(*words).out
    assert "outside the mesh" in cli(*words).out
    assert cli(*words, "--mesh-config", "mesh.yaml").out.splitlines()[-1].startswith("=> 502 ")


GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: entry}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: entry}
spec: {parentRefs: [{name: entry}], rules: [{backendRefs: [{name: stock, port: 8080}]}]}
"""


def test_a_caller_outside_comes_in_by_the_gateway_that_istiod_deploys(
    cli: Callable[..., Said], shop: Path
) -> None:
    (shop / "gateway.yaml").write_text(GATEWAY)
    words = ("explain", "outside", "GET", "http://shop.example/", "k8s", "gateway.yaml")
    said = cli(*words, "--address", "gateway")
    assert said.status == 0, said.err
    lines = [line.strip() for line in said.out.splitlines()]
    assert lines[1] == "from outside (no sidecar, no identity)"
    assert lines[2] == "gateway at default/entry-istio: listener 0.0.0.0_80"
    assert "HTTPRoute default/entry rule 0 (gateway.yaml:9)" in lines[3]
    assert lines[-1] == "=> answered by the application of default/stock"
    assert "=> unresolved: shop.example does not resolve" in cli(*words).out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("wep", "GET", "http://stock/", "k8s"), "did you mean 'default/web'?"),
        (("web", "GET", "http://stock/"), "no manifests"),
        (("GET", "http://stock/", "k8s"), "no workload 'GET'"),
        (("web", "get it", "http://stock/", "k8s"), "cannot tell caller and method"),
        (("web", "GET", "http://stock/", "k8s", "--header", "x"), "expected NAME:VALUE"),
    ],
    ids=["caller", "manifests", "order", "method", "header"],
)
def test_mistakes(cli: Callable[..., Said], words: tuple[str, ...], problem: str) -> None:
    said = cli("explain", *words)
    assert said.status == 2
    assert problem in said.err
