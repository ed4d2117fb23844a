from __future__ import annotations

from typing import Any

import pytest

from meshtest.report.deciding import decided
from meshtest.traffic.accesslog import hop_of
from meshtest.traffic.model import Decision, Hop

JWT = {"details": "jwt_authn_access_denied{Jwt_is_expired}"}


def hop(**fields: Any) -> Hop:
    return hop_of({"pod": "ns1/b-0", "side": "inbound", "layer": "http", **fields})


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (JWT, [("RequestAuthentication", "denied: Jwt is expired")]),
        ({"details": "rbac_access_denied_matched_policy[none]"},
         [("AuthorizationPolicy: no ALLOW rule matched", "denied")]),
        ({"rbac": {"istio_dry_run_deny_shadow_engine_result": "denied",
                   "istio_dry_run_deny_shadow_effective_policy_id": "ns[a]-policy[p]-rule[0]"}},
         [("AuthorizationPolicy a/p rule 0", "would be denied")]),
        ({"config": "/apis/networking.istio.io/v1/namespaces/a/virtual-service/v"}, [("VirtualService a/v", "routed")]),
        ({"details": "via_upstream"}, []),
    ],
    ids=["token", "default-deny", "dry-run", "route", "nothing"],
)  # fmt: skip
def test_the_words_of_the_report(line: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert list(decided(hop(**line))) == found


def test_the_exchange_names_what_the_line_does_not() -> None:
    known = Decision(kind="RequestAuthentication", namespace="a", name="ra", effect="denied", pod="ns1/b-0")
    assert next(decided(hop(**JWT), known)) == ("RequestAuthentication a/ra", "denied: Jwt is expired")
    elsewhere = Decision(
        kind="RequestAuthentication", namespace="a", name="ra", effect="denied", pod="ns1/c-0"
    )
    assert next(decided(hop(**JWT), elsewhere))[0] == "RequestAuthentication"
