from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.istiod.binary import find_or_build
from meshtest.istiod.engine import Engine
from meshtest.live.fixes import FIELDS, Guesses, renamed
from meshtest.mesh.build import build_model
from meshtest.mesh.manifests import load_text
from suites.unit.cli.conftest import SHOP

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """
---
apiVersion: networking.istio.io/v1
kind: {kind}
metadata: {{name: it}}
spec: {spec}
"""


@pytest.fixture(scope="module")
def istiod() -> Iterator[Engine]:
    running = Engine.start(find_or_build(print))
    yield running
    running.close()


@pytest.mark.parametrize(
    ("kind", "spec", "guess"),
    [
        ("VirtualService", "{hosts: [web], http: [{rout: []}]}", "route"),
        ("VirtualService", "{hosts: [web], http: [{route: [], retries: {atempts: 2}}]}", "attempts"),
        ("VirtualService", "{hosts: [web], http: [{route: []}], zzzzzz: 1}", ""),
        ("DestinationRule", "{host: web, trafficPolicy: {tls: {mode: mutul}}}", "MUTUAL"),
    ],
    ids=["list", "deep", "nothing near", "enum"],
)
def test_a_misspelt_word_is_guessed(istiod: Engine, kind: str, spec: str, guess: str) -> None:
    model = build_model(load_text(SHOP + HEAD.format(kind=kind, spec=spec)))
    found = [one for one in istiod.validate(map(dict, model.objects)) if one.level == "error"]
    assert guess in {Guesses(istiod, model).of(one) for one in found}


@pytest.mark.parametrize(
    ("destination", "guess"),
    [
        ("{host: stok}", "stock"),
        ("{host: stock, port: {number: 8081}}", "stock:8080"),
        ("{host: stock, subset: v2}", ""),
    ],
    ids=["host", "port", "no subset to choose from"],
)
def test_a_reference_that_leads_nowhere_is_guessed(istiod: Engine, destination: str, guess: str) -> None:
    spec = f"{{hosts: [web], http: [{{route: [{{destination: {destination}}}]}}]}}"
    model = build_model(load_text(SHOP + HEAD.format(kind="VirtualService", spec=spec)))
    found = [one for one in istiod.analyze(map(dict, model.objects)) if one.code == "IST0101"]
    assert guess in {Guesses(istiod, model).of(one) for one in found}


def test_renaming_leaves_the_object_itself_alone() -> None:
    body = {"spec": {"http": [{"rout": 1}]}}
    assert renamed(body, "spec.http[0]", "rout", "route") == {"spec": {"http": [{"route": 1}]}}
    assert body == {"spec": {"http": [{"rout": 1}]}}


@pytest.mark.parametrize("parent", ["spec.http[4]", "spec.tcp", "spec.http"])
def test_renaming_where_nothing_is(parent: str) -> None:
    assert renamed({"spec": {"http": [{"rout": 1}]}}, parent, "rout", "route") is None


def test_the_words_are_there_once() -> None:
    assert len(FIELDS) == len(set(FIELDS))
