"""Whose keys istiod fetches, and what becomes of the rules that ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import Location
from meshtest.live.key_sets import KeySets, Source, authorities_of, fetch
from meshtest.mesh.model import Manifest, ObjectRef
from meshtest.traffic.model import Exchange, Outcome, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel

OUTSIDE, SECURE = "http://keys.example/", "https://ratings.default.svc.cluster.local/"
INSIDE = "http://ratings.default.svc.cluster.local:8000/keys"
KEYS = '{"keys": []}'


def manifest(body: dict[str, Any], name: str = "tokens", namespace: str = "default") -> Manifest:
    ref = ObjectRef(api_version=body["apiVersion"], kind=body["kind"], namespace=namespace, name=name)
    return Manifest(ref=ref, body=body, location=Location(file="mesh.yaml", line=1))


def asking(model: MeshModel, *rules: dict[str, Any]) -> MeshModel:
    body = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "spec": {"jwtRules": [*rules]},
    }
    return replace(model, manifests=(manifest(body),), objects=(body,))


def answering(**answers: tuple[int, str]) -> Callable[[Request], Exchange]:
    def send(request: Request) -> Exchange:
        status, body = answers.get(
            request.url.partition("://")[2].replace(".", "_").replace("/", "_"), (None, "")
        )
        outcome = Outcome.RESPONSE if status else Outcome.REFUSED
        return Exchange(
            id="x",
            caller="outside",
            started=0.0,
            latency=0.0,
            request=request,
            outcome=outcome,
            status=status,
            body=body.encode(),
        )

    return send


@pytest.mark.parametrize(
    ("mode", "uris"),
    [
        ("", {OUTSIDE, SECURE, ""}),
        ("envoy", {""}),
        ("true", {OUTSIDE, ""}),
        ("hybrid", {OUTSIDE, ""}),
        ("istiod", {OUTSIDE, SECURE, INSIDE, ""}),
        ("false", {OUTSIDE, SECURE, INSIDE, ""}),
    ],
)
def test_istiod_fetches_what_envoys_do_not(model: MeshModel, mode: str, uris: set[str]) -> None:
    rules = [{"issuer": "me", "jwksUri": uri} for uri in (OUTSIDE, SECURE, INSIDE)]
    found = KeySets(mode=mode).wanted(asking(model, *rules, {"issuer": "me"}, {"issuer": "me", "jwks": KEYS}))
    assert {source.uri for source in found} == uris


def test_a_server_that_a_service_entry_names_is_envoys_matter(model: MeshModel) -> None:
    entry = manifest(
        {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": {"hosts": ["keys.example"]}}
    )
    asked = asking(model, {"issuer": "me", "jwksUri": OUTSIDE})
    assert KeySets().wanted(replace(asked, manifests=(*asked.manifests, entry))) == []


def test_keys_take_the_place_of_their_server_and_are_forgotten_with_the_rule(model: MeshModel) -> None:
    asked = asking(
        model, {"issuer": "me", "jwks_uri": OUTSIDE, "audiences": ["x"]}, {"issuer": "other", "jwks": KEYS}
    )
    sets = KeySets()
    assert sets.fetch(sets.wanted(asked), answering(keys_example_=(200, KEYS)), "")
    (body,) = sets.filled(asked).objects
    assert body["spec"]["jwtRules"] == [
        {"issuer": "me", "audiences": ["x"], "jwks": KEYS},
        {"issuer": "other", "jwks": KEYS},
    ]
    assert sets.wanted(asked) == []
    assert sets.wanted(asking(model)) == []
    assert sets.found == {}


def test_what_could_not_be_had_is_told_at_its_rule_and_asked_for_again(model: MeshModel) -> None:
    asked = asking(model, {"issuer": "me", "jwks": KEYS}, {"issuer": "me", "jwksUri": OUTSIDE})
    sets = KeySets()
    assert not sets.fetch(sets.wanted(asked), answering(), "")
    (told,) = sets.notices(asked)
    assert told.message == "http://keys.example/ cannot be fetched: refused: every token will be refused"
    assert [source.uri for source in sets.wanted(asked)] == [OUTSIDE]


@pytest.mark.parametrize(
    ("source", "answers", "reason"),
    [
        (Source(issuer="", uri=OUTSIDE), {"keys_example_": (503, "")}, "answers with status 503"),
        (Source(issuer="", uri=OUTSIDE), {"keys_example_": (200, "<html>")}, "answers with no JSON"),
        (Source(issuer="", uri=OUTSIDE), {"keys_example_": (200, "{}")}, "answers with no key set"),
        (Source(issuer="me", uri=""), {}, "'me/.well-known/openid-configuration' is no address"),
        (Source(issuer="", uri="https://keys.example/"), {}, "cannot be trusted"),
        (
            Source(issuer="http://a", uri=""),
            {"a__well-known_openid-configuration": (200, "{}")},
            "names no jwks_uri",
        ),
    ],
)
def test_why_there_are_no_keys(source: Source, answers: dict[str, tuple[int, str]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fetch(source, answering(**answers), "")


def test_a_short_name_is_one_of_istiods_own_namespace() -> None:
    asked: list[str | None] = []

    def send(request: Request) -> Exchange:
        asked.append(request.address)
        found = request.address is not None
        return Exchange(
            id="x", caller="outside", started=0.0, latency=0.0, request=request,
            outcome=Outcome.RESPONSE if found else Outcome.UNRESOLVED,
            status=200 if found else None, body=KEYS.encode(),
        )  # fmt: skip

    assert fetch(Source(issuer="", uri="http://jwt-server:8000/jwks"), send, "") == KEYS
    assert asked == [None, "jwt-server.istio-system.svc.cluster.local"]


def test_istiod_trusts_what_its_chart_gives_it_besides(model: MeshModel) -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"extra.pem": "MORE"}}
    given = manifest(extra, "pilot-jwks-extra-cacerts", "istio-system")
    assert authorities_of(model, "ROOT") == "ROOT"
    assert authorities_of(replace(model, manifests=(given,)), "ROOT") == "ROOT\nMORE"
