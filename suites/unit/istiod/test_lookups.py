"""Key sets and authorization services that policies name: what istiod would look for outside, and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Told = Any

CREATED = "2026-01-01T00:00:00Z"
NO_KEY = b"0xObjM0UvS_oaazjpEYlAbwct"
"""Of the key that istiod puts in place of those that it could not fetch: nobody has its other half."""
PROVIDER = "extensionProviders: [{{name: ask, envoyExtAuthzGrpc: {{service: {}, port: 80}}}}]"


def policy(kind: str, spec: dict[str, Any], name: str = "p") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": CREATED}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def keys(name: str = "p", **rule: str) -> dict[str, Any]:
    return policy("RequestAuthentication", {"jwtRules": [{"issuer": "me", **rule}]}, name)


def custom() -> dict[str, Any]:
    return policy("AuthorizationPolicy", {"action": "CUSTOM", "provider": {"name": "ask"}, "rules": [{}]})


def warnings(update: Any) -> list[tuple[str, str, str]]:
    return [(each.code, each.path, each.message) for each in update.messages if each.level == "warning"]


def listeners(told: Told) -> bytes:
    return b"".join(
        blob for state in told.state.values() for (kind, _), blob in state.items() if kind == "LDS"
    )


def test_keys_in_the_mesh_are_no_matter_of_istiods(told: Told) -> None:
    update = told.update(keys(jwksUri="http://back.default.svc.cluster.local/keys"))
    assert warnings(update) == []
    assert NO_KEY not in listeners(told)


@pytest.mark.parametrize("host", ["back", "keys.example.com"])
def test_keys_of_a_server_that_is_not_in_the_mesh(told: Told, host: str) -> None:
    ((code, path, text),) = warnings(told.update(keys(jwksUri=f"https://{host}/keys")))
    assert (code, path) == ("keys", "spec.jwtRules[0].jwksUri")
    assert f"no service of the mesh is called {host}" in text


def test_istiod_does_not_go_looking_for_keys(told: Told) -> None:
    """Ten of them: with the sixth istiod's channel of failed fetches is full."""
    for number in range(10):
        ((code, path, text),) = warnings(told.update(keys(f"p{number}")))
        assert (code, path) == ("keys", "spec.jwtRules[0]")
        assert "istiod itself would fetch" in text
    assert NO_KEY in listeners(told)


@pytest.mark.parametrize("mode", ["istiod", "hybrid"])
def test_nor_where_it_is_told_to(told: Told, start: Callable[..., Any], cluster: Any, mode: str) -> None:
    told = type(told)(start(PILOT_JWT_ENABLE_REMOTE_JWKS=mode))
    told.update(*cluster.objects, proxies=cluster.proxies)
    inside = keys(jwksUri="http://back.default.svc.cluster.local/keys")
    assert bool(warnings(told.update(inside))) is (mode == "istiod")
    assert (NO_KEY in listeners(told)) is (mode == "istiod")
    assert warnings(told.update(keys(jwksUri="https://keys.example.com/")))
    assert NO_KEY in listeners(told)


def test_what_stood_in_is_gone_where_the_keys_are_given(told: Told) -> None:
    told.update(keys())
    update = told.update(keys(jwks='{"keys": []}'))
    assert warnings(update) == []
    assert NO_KEY not in listeners(told)
    told.update(keys())
    told.update(mesh_config="accessLogFile: /dev/null")
    assert NO_KEY in listeners(told)


def test_a_provider_that_is_not_there(told: Told) -> None:
    ((code, path, text),) = warnings(told.update(custom()))
    assert (code, path) == ("provider", "spec.provider.name")
    assert 'MeshConfig has no extension provider "ask"' in text


@pytest.mark.parametrize(("service", "there"), [("back.default.svc.cluster.local", True), ("back", False)])
def test_a_provider_whose_service_is_not_there(told: Told, service: str, there: bool) -> None:  # noqa: FBT001 - a case
    found = warnings(told.update(custom(), mesh_config=PROVIDER.format(service)))
    assert [code for code, _, _ in found] == ([] if there else ["provider"])


def observed(**spec: Any) -> dict[str, Any]:
    return {**policy("Telemetry", spec), "apiVersion": "telemetry.istio.io/v1"}


def test_a_provider_of_a_telemetry_that_is_not_there(told: Told) -> None:
    logging = {"providers": [{"name": "envoy"}, {"name": "nowhere"}]}
    tracing = {"providers": [{"name": "nowhere"}]}
    found = warnings(told.update(observed(accessLogging=[logging], tracing=[tracing])))
    assert [(code, path) for code, path, _ in found] == [
        ("provider", "spec.accessLogging[0].providers[1].name"),
        ("provider", "spec.tracing[0].providers[0].name"),
    ]
    assert all('no extension provider "nowhere", so nothing is sent to it' in text for *_, text in found)
