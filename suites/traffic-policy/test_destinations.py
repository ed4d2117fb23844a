"""Where requests may go, and to which pod: subsets, hashing, pools, visibility, delegation, the registry alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from meshtest import Exchange, Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")

CALLER, REVIEWS = "productpage-v1", "http://reviews:9080/reviews/0"
VERSIONS = {f"reviews-v{number}" for number in (1, 2, 3)}


def policy(kind: str, spec: dict[str, Any], name: str = "reviews", namespace: str = "default") -> str:
    """One object of Istio's networking, as YAML; more of them may follow."""
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    return f"{yaml.safe_dump(body)}---\n"


def rule(traffic: dict[str, Any], host: str = "reviews") -> str:
    return policy("DestinationRule", {"host": host, "trafficPolicy": traffic}, name=host)


def to(subset: str) -> list[dict[str, Any]]:
    """The destinations of a route to one subset of reviews."""
    return [{"destination": {"host": "reviews", "subset": subset}}]


def answered(exchanges: tuple[Exchange, ...]) -> Counter[str]:
    """How often each workload answered."""
    return Counter(one.backend.workload if one.backend else "nobody" for one in exchanges)


@pytest.mark.parametrize(
    ("hashed", "same", "others"),
    [
        ({"httpHeaderName": "x-user"}, {"headers": {"x-user": "ann"}}, "headers"),
        ({"httpQueryParameterName": "user"}, {"url": f"{REVIEWS}?user=ann"}, "url"),
        ({"useSourceIp": True}, {}, ""),
    ],
    ids=["header", "query", "address"],
)
def test_consistent_hash_keeps_to_one_pod(
    mesh: Mesh, hashed: dict[str, Any], same: dict[str, Any], others: str
) -> None:
    mesh.apply(rule({"loadBalancer": {"consistentHash": hashed}}))
    given = {"url": REVIEWS, **same}
    history = mesh.send(CALLER, given.pop("url"), requests=12, **given)
    assert len(answered(history.exchanges)) == 1
    if others:
        users = [f"user-{number}" for number in range(24)]
        each = [
            mesh.request(CALLER, REVIEWS, headers={"x-user": user})
            if others == "headers"
            else mesh.request(CALLER, f"{REVIEWS}?user={user}")
            for user in users
        ]
        assert len(answered(tuple(each))) > 1


def test_without_hash_every_pod_answers(mesh: Mesh) -> None:
    assert set(answered(mesh.send(CALLER, REVIEWS, requests=30).exchanges)) == VERSIONS


def test_a_cookie_is_given_once_and_then_sticks(mesh: Mesh) -> None:
    mesh.apply(rule({"loadBalancer": {"consistentHash": {"httpCookie": {"name": "cart", "ttl": "60s"}}}}))
    first = mesh.request(CALLER, REVIEWS)
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("cart=")
    history = mesh.send(CALLER, REVIEWS, requests=12, headers={"cookie": cookie})
    assert first.backend is not None
    assert set(answered(history.exchanges)) == {first.backend.workload}


def test_a_full_pool_turns_requests_away(mesh: Mesh) -> None:
    pool = {
        "tcp": {"maxConnections": 1},
        "http": {"http1MaxPendingRequests": 1, "maxRequestsPerConnection": 1},
    }
    mesh.apply(rule({"connectionPool": pool}, host="details"))
    history = mesh.send(CALLER, "http://details:9080/delay/200ms", requests=20, concurrency=20)
    flags = Counter(one.hops[0].flags for one in history.exchanges)
    assert {one.status for one in history.exchanges} <= {200, 503}
    assert any("UO" in each for each in flags), flags
    assert all("UO" in one.hops[0].flags for one in history.exchanges if one.status == 503)


def test_a_subset_is_chosen_by_labels_and_has_its_own_policy(mesh: Mesh) -> None:
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v2", "v3")]
    third = {"match": [{"headers": {"x-v": {"exact": "3"}}}], "route": to("v3")}
    route = policy("VirtualService", {"hosts": ["reviews"], "http": [third, {"route": to("v2")}]})
    mesh.apply(policy("DestinationRule", {"host": "reviews", "subsets": subsets}), route)
    assert set(answered(mesh.send(CALLER, REVIEWS, requests=8).exchanges)) == {"reviews-v2"}
    history = mesh.send(CALLER, REVIEWS, requests=8, headers={"x-v": "3"})
    assert set(answered(history.exchanges)) == {"reviews-v3"}


def test_a_delegate_has_the_rules_below_its_root(mesh: Mesh) -> None:
    root = {
        "hosts": ["reviews"],
        "http": [{"match": [{"uri": {"prefix": "/admin"}}], "delegate": {"name": "admin"}},
                 {"route": [{"destination": {"host": "reviews"}}]}],
    }  # fmt: skip
    below = {"http": [{"match": [{"uri": {"prefix": "/admin/stop"}}], "directResponse": {"status": 403}},
                      {"route": [{"destination": {"host": "details"}}]}]}  # fmt: skip
    mesh.apply(policy("VirtualService", root), policy("VirtualService", below, name="admin"))
    assert mesh.request(CALLER, "http://reviews:9080/admin/stop").status == 403
    admin = mesh.request(CALLER, "http://reviews:9080/admin/see")
    other = mesh.request(CALLER, REVIEWS)
    assert admin.backend is not None
    assert other.backend is not None
    assert (admin.backend.workload, other.backend.workload in VERSIONS) == ("details-v1", True)


def cluster(one: Exchange) -> str:
    return one.hops[0].cluster


@pytest.mark.parametrize("by", ["sidecar", "export"])
def test_what_a_caller_does_not_see_it_passes_through(mesh: Mesh, by: str) -> None:
    url = "http://details:9080/details/0"
    assert cluster(mesh.request(CALLER, url)) == "outbound|9080||details.default.svc.cluster.local"
    if by == "sidecar":
        mesh.apply(
            policy("Sidecar", {"egress": [{"hosts": ["./reviews.default.svc.cluster.local"]}]}, name="narrow")
        )
    else:
        hidden = next(
            one for one in mesh.model.manifests if one.ref.kind == "Service" and one.ref.name == "details"
        )
        metadata = {**hidden.body["metadata"], "annotations": {"networking.istio.io/exportTo": "~"}}
        mesh.apply(yaml.safe_dump({**hidden.body, "metadata": metadata}))
    one = mesh.request(CALLER, url)
    assert (one.status, cluster(one), one.peer_identity) == (200, "PassthroughCluster", "")


def test_the_registry_alone(mesh: Mesh) -> None:
    mesh.replace(mesh_config={"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    known = mesh.request(CALLER, REVIEWS)
    stranger = mesh.request(CALLER, "http://stranger.example/", address="reviews", port=9080)
    assert (known.status, stranger.status, stranger.hops[0].route) == (200, 502, "block_all")
    raw = mesh.request(CALLER, "tcp://192.0.2.1:7000", timeout=3)
    assert (raw.outcome, cluster(raw)) == ("reset", "BlackHoleCluster")


def test_one_workload_may_be_held_to_the_registry(mesh: Mesh) -> None:
    narrow = {
        "workloadSelector": {"labels": {"app": "productpage"}},
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }
    mesh.apply(policy("Sidecar", narrow, name="narrow"))
    asked = {"address": "details", "port": 9080}
    assert mesh.request(CALLER, "http://stranger.example/", **asked).status == 502
    assert mesh.request("ratings-v1", "http://stranger.example/", **asked).status == 200
