"""Which policies ask a stand-in that does not play what they need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import Location
from meshtest.live.applications import Applications
from meshtest.live.miscast import miscast
from meshtest.mesh.mesh_config import settings_of
from meshtest.mesh.model import Manifest, ObjectRef

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel

HOST = "ratings.default.svc.cluster.local"
CUSTOM = {"action": "CUSTOM", "provider": {"name": "opa"}, "rules": [{}]}


def judging(model: MeshModel, kind: str, spec: dict[str, Any], playing: str = "") -> MeshModel:
    ref = ObjectRef(api_version="security.istio.io/v1", kind=kind, namespace="default", name="policy")
    manifest = Manifest(ref=ref, body={"spec": spec}, location=Location(file="mesh.yaml", line=3))
    annotations = {"meshtest.dev/standin": playing} if playing else {}
    pods = tuple(replace(each, annotations=annotations) for each in model.pods)
    return replace(model, manifests=(manifest,), pods=pods)


@pytest.mark.parametrize("kind", ["envoyExtAuthzHttp", "envoyExtAuthzGrpc"])
@pytest.mark.parametrize("service", [HOST, f"default/{HOST}"], ids=["host", "namespace"])
def test_an_authorizer_that_is_only_a_stand_in_is_told(model: MeshModel, kind: str, service: str) -> None:
    config = {"extensionProviders": [{"name": "opa", kind: {"service": service, "port": 9080}}]}
    providers = settings_of(config).authorizers
    (found,) = miscast(judging(model, "AuthorizationPolicy", CUSTOM), providers, Applications())
    assert str(found) == (
        "mesh.yaml:3: warning [stand-in]: AuthorizationPolicy default/policy: the stand-in of default/ratings-v1 "
        f"answers for {HOST} and does not play ext-authz: give its pods the annotation meshtest.dev/standin: "
        "ext-authz, or a program of yours (`commands`)"
    )


def test_a_server_of_keys_that_is_only_a_stand_in_is_told(model: MeshModel) -> None:
    rules = [{"issuer": "a", "jwks": "{}"}, {"issuer": "b", "jwksUri": f"http://{HOST}:9080/keys"}]
    (found,) = miscast(judging(model, "RequestAuthentication", {"jwtRules": rules}), {}, Applications())
    assert "does not play jwks" in found.message


@pytest.mark.parametrize(
    ("spec", "playing", "commands", "authorizers"),
    [
        (CUSTOM, "ext-authz", {}, {"opa": HOST}),
        (CUSTOM, "", {"default/ratings-v1": ["/bin/opa"]}, {"opa": HOST}),
        (CUSTOM, "", {}, {"opa": "opa.example.com"}),
        (CUSTOM, "", {}, {"other": HOST}),
        ({**CUSTOM, "action": "ALLOW"}, "", {}, {"opa": HOST}),
    ],
    ids=["plays-it", "program", "elsewhere", "other-provider", "not-custom"],
)
def test_who_is_fit_or_not_asked_is_not(
    model: MeshModel,
    spec: dict[str, Any],
    playing: str,
    commands: dict[str, list[str]],
    authorizers: dict[str, str],
) -> None:
    mesh = judging(model, "AuthorizationPolicy", spec, playing)
    assert not [*miscast(mesh, authorizers, Applications(commands=commands))]


@pytest.mark.parametrize("providers", [None, "opa", [None], [{"name": "a"}], [{"envoyExtAuthzHttp": "b"}]])
def test_providers_that_are_none_are_istiods_to_judge(providers: object) -> None:
    assert settings_of({"extensionProviders": providers}).authorizers == {}
