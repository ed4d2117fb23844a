"""Istio's own Bookinfo files, applied unchanged, do what Istio's documentation says they do.

The files are not part of this project: MESHTEST_BOOKINFO names the folder (`samples/bookinfo` of an Istio release, with
`platform/`, `networking/` and `gateway-api/`); without it, `../shared/data/bookinfo` beside the project is tried.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.checks.statistics import accept_all, samples_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest import Mesh
    from meshtest.traffic.model import Exchange
    from meshtest.traffic.record import History

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(os.environ.get("MESHTEST_BOOKINFO") or ROOT.parent / "shared" / "data" / "bookinfo")
PLATFORM = FILES / "platform"
if not (PLATFORM / "bookinfo.yaml").is_file():
    pytest.skip(
        "MESHTEST_BOOKINFO does not name a folder with platform/bookinfo.yaml", allow_module_level=True
    )

pytestmark = pytest.mark.mesh(PLATFORM / "bookinfo.yaml", PLATFORM / "bookinfo-versions.yaml")

PRODUCTPAGE, REVIEWS = "productpage-v1", "reviews-v2"
SERVICES = ("productpage", "details", "reviews", "ratings")
SUBSETS = "networking/destination-rule-all.yaml"
DELAY = 7.0
CLOCK = 0.05
"""Envoy's timers count from the start of their loop's turn, so a delay may end some milliseconds early."""
DETECT = 0.12
"""The smallest difference from a documented share that must be noticed."""


def url(service: str) -> str:
    return f"http://{service}:9080/{service}/0"


def as_user(name: str) -> dict[str, str]:
    return {"end-user": name}


def use(mesh: Mesh, *files: str) -> None:
    """Have exactly these files besides the platform."""
    mesh.replace(*(FILES / file for file in files))


def backends(history: History) -> Counter[str]:
    """Who answered, and how often; every answer was a 200."""
    assert {exchange.status for exchange in history.exchanges} == {200}
    return Counter(exchange.backend.workload for exchange in history.exchanges if exchange.backend)


def ask(
    mesh: Mesh, service: str, caller: str = PRODUCTPAGE, requests: int = 12, **fields: Any
) -> Counter[str]:
    return backends(mesh.send(caller, url(service), requests=requests, concurrency=4, **fields))


def assert_shares(mesh: Mesh, shares: Mapping[str, float], service: str = "reviews") -> None:
    """The shares hold, by exact binomial acceptance."""
    counts = ask(mesh, service, requests=samples_for(shares, DETECT))
    assert set(counts) <= set(shares)
    judged = accept_all(counts, shares, detect=DETECT)
    assert all(one.holds for one in judged.values()), {name: one.text() for name, one in judged.items()}


# -- networking/: VirtualServices and DestinationRules -----------------------------------------------------------


def test_without_rules_all_versions_answer(mesh: Mesh) -> None:
    use(mesh)
    assert set(ask(mesh, "reviews", requests=60)) == {"reviews-v1", "reviews-v2", "reviews-v3"}


def test_destination_rules_alone_change_nothing(mesh: Mesh) -> None:
    use(mesh, SUBSETS)
    assert set(ask(mesh, "reviews", requests=60)) == {"reviews-v1", "reviews-v2", "reviews-v3"}


def test_destination_rule_reviews_balances_at_random(mesh: Mesh) -> None:
    use(mesh, "networking/destination-rule-reviews.yaml")
    third = dict.fromkeys(("reviews-v1", "reviews-v2", "reviews-v3"), 1 / 3)
    assert_shares(mesh, third)


@pytest.mark.parametrize("service", SERVICES)
def test_all_v1(mesh: Mesh, service: str) -> None:
    use(mesh, SUBSETS, "networking/virtual-service-all-v1.yaml")
    caller = REVIEWS if service == "productpage" else PRODUCTPAGE
    assert ask(mesh, service, caller) == {f"{service}-v1": 12}


def test_reviews_v3(mesh: Mesh) -> None:
    use(mesh, SUBSETS, "networking/virtual-service-reviews-v3.yaml")
    assert ask(mesh, "reviews") == {"reviews-v3": 12}


@pytest.mark.parametrize(
    ("file", "jason", "others"),
    [
        ("virtual-service-reviews-test-v2.yaml", "reviews-v2", "reviews-v1"),
        ("virtual-service-reviews-jason-v2-v3.yaml", "reviews-v2", "reviews-v3"),
    ],
)
def test_jason_meets_another_version(mesh: Mesh, file: str, jason: str, others: str) -> None:
    use(mesh, SUBSETS, f"networking/{file}")
    assert ask(mesh, "reviews", headers=as_user("jason")) == {jason: 12}
    assert ask(mesh, "reviews", headers=as_user("mary")) == {others: 12}
    assert ask(mesh, "reviews") == {others: 12}


@pytest.mark.parametrize(
    ("file", "shares"),
    [
        ("virtual-service-reviews-80-20.yaml", {"reviews-v1": 0.8, "reviews-v2": 0.2}),
        ("virtual-service-reviews-90-10.yaml", {"reviews-v1": 0.9, "reviews-v2": 0.1}),
        ("virtual-service-reviews-50-v3.yaml", {"reviews-v1": 0.5, "reviews-v3": 0.5}),
        ("virtual-service-reviews-v2-v3.yaml", {"reviews-v2": 0.5, "reviews-v3": 0.5}),
    ],
)
def test_traffic_is_split(mesh: Mesh, file: str, shares: dict[str, float]) -> None:
    use(mesh, SUBSETS, f"networking/{file}")
    assert_shares(mesh, shares)


def rate(mesh: Mesh, user: str) -> Exchange:
    return mesh.request(REVIEWS, url("ratings"), headers=as_user(user))


def test_ratings_are_delayed_for_jason(mesh: Mesh) -> None:
    use(mesh, SUBSETS, "networking/virtual-service-ratings-test-delay.yaml")
    others, jason = rate(mesh, "mary"), rate(mesh, "jason")
    assert (others.status, jason.status) == (200, 200)
    assert others.latency < 1.0
    assert DELAY - CLOCK <= jason.latency < DELAY + 1.0


def test_ratings_are_aborted_for_jason(mesh: Mesh) -> None:
    use(mesh, SUBSETS, "networking/virtual-service-ratings-test-abort.yaml")
    jason = rate(mesh, "jason")
    assert (jason.status, jason.backend) == (500, None)
    assert rate(mesh, "mary").status == 200
    assert [hop.flags for hop in jason.hops] == ["FI"]


def test_details_answers_555_to_everybody(mesh: Mesh) -> None:
    use(mesh, "networking/fault-injection-details-v1.yaml")
    exchange = mesh.request(PRODUCTPAGE, url("details"))
    assert (exchange.status, exchange.backend) == (555, None)


@pytest.mark.parametrize("service", ["details", "reviews", "ratings"])
def test_destination_rules_ask_for_mtls(mesh: Mesh, service: str) -> None:
    use(mesh, "networking/destination-rule-all-mtls.yaml")
    exchange = mesh.request(PRODUCTPAGE, url(service))
    assert exchange.status == 200
    assert exchange.peer_identity == "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"
    outbound = next(hop for hop in exchange.hops if hop.side == "outbound")
    assert outbound.upstream_peer == f"spiffe://cluster.local/ns/default/sa/bookinfo-{service}"


@pytest.mark.parametrize(
    ("file", "service", "subset"),
    [
        ("virtual-service-details-v2.yaml", "details", "v2"),
        ("virtual-service-ratings-db.yaml", "ratings", "v2"),
        ("virtual-service-ratings-mysql.yaml", "ratings", "v2-mysql"),
        ("virtual-service-ratings-mysql-vm.yaml", "ratings", "v2-mysql-vm"),
    ],
)
def test_a_subset_without_pods_answers_503(mesh: Mesh, file: str, service: str, subset: str) -> None:
    """Their workloads (another image, MongoDB, MySQL, a VM) stand in files that are not applied here."""
    use(mesh, SUBSETS, f"networking/{file}")
    exchange = mesh.request(PRODUCTPAGE, url(service))
    assert exchange.status == 503
    (hop,) = exchange.hops
    assert (hop.flags, hop.cluster) == ("UH", f"outbound|9080|{subset}|{service}.default.svc.cluster.local")
    if service == "ratings":
        assert ask(mesh, "reviews") == {"reviews-v3": 12}


def test_ratings_v2_answers_where_it_is_deployed(mesh: Mesh) -> None:
    mesh.replace(
        PLATFORM / "bookinfo-ratings-v2.yaml",
        FILES / SUBSETS,
        FILES / "networking/virtual-service-ratings-db.yaml",
    )
    assert ask(mesh, "ratings") == {"ratings-v2": 12}
    assert ask(mesh, "reviews") == {"reviews-v3": 12}


# -- gateway-api/: routes of the mesh (GAMMA) ---------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_gateway_api_all_v1(mesh: Mesh, service: str) -> None:
    use(mesh, "gateway-api/route-all-v1.yaml")
    caller = REVIEWS if service == "productpage" else PRODUCTPAGE
    assert ask(mesh, service, caller) == {f"{service}-v1": 12}


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_gateway_api_one_version(mesh: Mesh, version: str) -> None:
    use(mesh, f"gateway-api/route-reviews-{version}.yaml")
    assert ask(mesh, "reviews") == {f"reviews-{version}": 12}


@pytest.mark.parametrize(
    ("file", "shares"),
    [
        ("route-reviews-90-10.yaml", {"reviews-v1": 0.9, "reviews-v2": 0.1}),
        ("route-reviews-50-v3.yaml", {"reviews-v1": 0.5, "reviews-v3": 0.5}),
    ],
)
def test_gateway_api_traffic_is_split(mesh: Mesh, file: str, shares: dict[str, float]) -> None:
    use(mesh, f"gateway-api/{file}")
    assert_shares(mesh, shares)


# -- what needs something that this mesh has not ------------------------------------------------------------------


def test_istiod_and_every_envoy_accept_what_needs_the_internet(mesh: Mesh) -> None:
    use(mesh, "networking/egress-rule-google-apis.yaml")
    assert set(ask(mesh, "reviews", requests=60)) == {"reviews-v1", "reviews-v2", "reviews-v3"}


def test_no_file_is_forgotten() -> None:
    text = Path(__file__).read_text()
    files = [*FILES.glob("networking/*.yaml"), *FILES.glob("gateway-api/*.yaml")]
    named = {path.name for path in files if path.name in text or path.name.startswith("route-reviews-v")}
    assert files
    assert named == {path.name for path in files}


# -- gateways ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "service"),
    [
        ("networking/bookinfo-gateway.yaml", "istio-ingressgateway.istio-system"),
        ("gateway-api/bookinfo-gateway.yaml", "bookinfo-gateway-istio.default"),
    ],
    ids=["Istio", "Gateway API"],
)
def test_the_gateway_lets_productpage_in_and_nothing_else(mesh: Mesh, file: str, service: str) -> None:
    use(mesh, file)
    found = {
        path: mesh.request("outside", f"http://bookinfo.example.com{path}", address=service)
        for path in ("/productpage", "/static/a.css", "/login", "/api/v1/products/0", "/", "/reviews/0")
    }
    statuses = [one.status for one in found.values()]
    assert statuses == [200, 200, 200, 200, 404, 404]
    workloads = {one.backend.workload for one in found.values() if one.backend}
    assert workloads == {"productpage-v1"}


def test_the_gateway_goes_with_all_other_rules(mesh: Mesh) -> None:
    gateway = "networking/bookinfo-gateway.yaml"
    use(mesh, gateway, SUBSETS, "networking/virtual-service-reviews-v3.yaml")
    assert mesh.request("outside", "http://any/productpage", address="gateway").status == 200
    assert ask(mesh, "reviews") == {"reviews-v3": 12}
