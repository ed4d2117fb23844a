"""What `explain` reads from the configuration is what Envoy then does.

Hypothesis makes up policies of every kind and requests; one mesh that runs gets them, and every exchange has to go one
of the ways that were foretold: status, route, clusters, workload, identities, and the policy that decided. A
disagreement shrinks to the fewest policies and one request.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
from hypothesis import strategies as st

from meshtest import Mesh
from meshtest.errors import ManifestError, Unsupported
from meshtest.live.requests import plain_request
from meshtest.live.sending import Pace
from suites.routing.made_up.comparing import differences
from suites.routing.made_up.policies import as_yaml, policies
from suites.routing.made_up.requests import Asked, requests
from suites.routing.made_up.topology import MESH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshtest.traffic.model import Exchange

COMPARISONS = int(os.environ.get("MESHTEST_COMPARISONS", "300"))
FEWEST, MOST = 8, 24
"""Requests for each set of policies; sixteen on an average."""


class Tally:
    """What was compared."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.compared = self.decided = self.refused = self.unknown = 0

    def __str__(self) -> str:
        sure = f"{self.decided} of them foretold for sure"
        lost = f"{self.unknown} without evidence; {self.refused} sets of policies refused"
        return f"{self.compared} requests compared, {sure}; {lost}"


@pytest.fixture(scope="module")
def mesh(meshtest_runtime: str) -> Iterator[Mesh]:
    try:
        started = Mesh.from_manifests(MESH, seed=1, runtime=meshtest_runtime)
    except Unsupported as exc:
        pytest.skip(str(exc))
    with started:
        yield started


@pytest.fixture(scope="module")
def tally() -> Iterator[Tally]:
    found = Tally()
    yield found
    print(found, dict(found.seen.most_common()))  # noqa: T201 - with -s
    assert found.decided > 0.8 * found.compared
    assert found.unknown < 0.03 * found.compared  # a pod that calls itself behind the router's address


def placed(mesh: Mesh, text: str) -> str:
    """What stands for addresses, keys and tokens replaced by them."""
    for pod in mesh.pods:
        text = text.replace(f"IP-OF-{pod.workload_key}", pod.ip)
    text = text.replace("jwks: KEYS", f"jwks: '{mesh.jwks}'")
    for issuer in ("me", "other"):
        text = text.replace(f"TOKEN-{issuer}", mesh.token(issuer=issuer, claims={"group": "admin"}))
    return text


def fields_of(mesh: Mesh, asked: Asked) -> dict[str, Any]:
    headers = {name: placed(mesh, value) for name, value in asked.fields.get("headers", {}).items()}
    return {**asked.fields, "headers": headers, "timeout": 2.0}


def kind_of(exchange: Exchange) -> str:
    """What became of a request, in a word or two."""
    by = exchange.decided_by
    if by is not None and by.effect == "denied":
        return f"denied by {by.kind}" if by.name else "not allowed"
    end = str(exchange.status or exchange.outcome.value)
    allowed = " allowed" if any(one.effect == "allowed" for one in exchange.policies) else ""
    return f"{end} {by.kind}{allowed}" if by else f"{end}{allowed}"


def sent(mesh: Mesh, asked: list[Asked]) -> list[tuple[Asked, Exchange]]:
    """Every request once, those of one caller at once."""
    found = []
    for caller in sorted({one.caller for one in asked}):
        own = [one for one in asked if one.caller == caller]
        made = [plain_request(placed(mesh, one.url), fields_of(mesh, one)) for one in own]
        history = mesh.drive(caller, made, Pace(requests=len(made), concurrency=8))
        found += list(zip(own, history.exchanges, strict=True))
    return found


@settings(
    max_examples=max(1, COMPARISONS // 16),
    deadline=None,
    derandomize="MESHTEST_COMPARISONS" not in os.environ,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
    verbosity=Verbosity.quiet,
)
@given(chosen=policies, asked=st.lists(requests, min_size=FEWEST, max_size=MOST))
def test_envoy_does_what_is_foretold(
    mesh: Mesh, tally: Tally, chosen: list[dict[str, Any]], asked: list[Asked]
) -> None:
    text = placed(mesh, as_yaml(chosen))
    try:
        mesh.replace(text)
    except ManifestError:
        tally.refused += 1
        reject()
    for one, exchange in sent(mesh, asked):
        if not exchange.complete:
            tally.unknown += 1
            continue
        found = mesh.explain(one.caller, exchange.request.url, **fields_of(mesh, one))
        tally.compared += 1
        tally.decided += len({(way.outcome, way.status) for way in found.ways}) == 1
        tally.seen[kind_of(exchange)] += 1
        found_wrong = differences(found, exchange)
        assert not found_wrong, "\n".join(
            [text, f"{one.caller}: {exchange.request.url} {one.fields}", *found_wrong, "", str(found)]
        )
