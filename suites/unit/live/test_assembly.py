from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.applications import Applications
from meshtest.live.assembly import call_url, find_service, outgrown
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel


@pytest.mark.parametrize(
    ("namespace", "name", "url"),
    [
        ("default", "ratings", "http://ratings:9080/"),
        ("b", "ratings", "http://ratings:80/"),
        ("a", "reviews", "http://reviews.default:9080/"),
        ("default", "ratings.b", "http://ratings.b:80/"),
        ("default", "ratings.b.svc.cluster.local", "http://ratings.b:80/"),
        ("default", "none", "http://none:80/"),
        ("default", "http://elsewhere:1/x", "http://elsewhere:1/x"),
    ],
    ids=["own", "own-namesake", "other-namespace", "named-namespace", "full-name", "no-port", "url"],
)
def test_a_call_becomes_a_url(model: MeshModel, namespace: str, name: str, url: str) -> None:
    assert call_url(model, namespace, name) == url


def test_a_call_to_nobody_is_an_error(model: MeshModel) -> None:
    with pytest.raises(
        ScenarioError, match=r"calls: no service 'review' in the mesh; .*did you mean 'reviews'?"
    ):
        call_url(model, "default", "review")


def test_a_namespace_that_is_named_is_not_guessed(model: MeshModel) -> None:
    assert find_service(model, "default", "reviews.b") is None


POD = "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, spec: {containers: [{name: a}]}}\n---\n"
SERVICE = (
    "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [%s]}}\n---\n"
)
HTTP, MORE = "{name: http, port: 80}", "{name: http, port: 80}, {name: more, port: 81, targetPort: 9}"


@pytest.mark.parametrize(
    ("old", "new", "commands", "wanted"),
    [
        (HTTP, MORE, {}, ["default/web"]),
        (MORE, HTTP, {}, []),
        (HTTP, "{name: tcp, port: 80}", {}, []),
        (HTTP, MORE, {"default/web": ["/bin/web"]}, []),
    ],
    ids=["more", "fewer", "another-word", "program"],
)
def test_a_stand_in_starts_again_where_it_is_called_on_ports_that_it_does_not_know(
    old: str, new: str, commands: dict[str, list[str]], wanted: list[str]
) -> None:
    before = build_model(load([POD + SERVICE % old]))
    after = build_model(load([POD + SERVICE % new]), previous=before)
    assert [*outgrown(before, after, Applications(commands=commands))] == wanted
    assert not [*outgrown(after, after, Applications())]
