from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from suites.unit.standin.conftest import StandIn, Start

KEYS = '{"keys":[]}'


@pytest.fixture
def server(start: Start) -> StandIn:
    return start(plays="jwks", keySet=KEYS)


def test_the_key_set_comes_from_any_path(server: StandIn) -> None:
    for path in ("/", "/keys", "/.well-known/jwks.json?x=y"):
        answer = server.ask(path)
        assert (answer.status, answer.body.decode()) == (200, KEYS)
        assert answer.response.getheader("content-type") == "application/json"


def test_discovery_of_an_issuer_leads_to_the_key_set(server: StandIn) -> None:
    found = json.loads(server.ask("/realm/.well-known/openid-configuration").body)
    assert found["issuer"].startswith("http://")
    assert found["issuer"].endswith("/realm")
    assert found["jwks_uri"] == found["issuer"] + "/keys"


def test_it_fails_and_dawdles_where_it_is_asked_to(server: StandIn) -> None:
    assert server.ask("/status/503").status == 503
    assert server.ask("/keys?delay=1ms").body.decode() == KEYS


def test_it_remembers_who_asked(server: StandIn) -> None:
    server.ask("/keys")
    (noted,) = json.loads(server.ask("/_meshtest/received").body)
    assert (noted["path"], noted["status"]) == ("/keys", 200)
