from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.errors import ManifestError
from meshtest.mesh.standins import PARTS, allowed_accounts, plays
from meshtest.standin.config import Plays

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshtest.mesh.model import MeshModel


def annotated(workload: Callable[..., str], text: str) -> str:
    return workload("a", metadata=f"labels: {{app: a}}, annotations: {{{text}}}")


def test_the_parts_are_those_that_stand_ins_know() -> None:
    assert set(PARTS) == {part.value for part in Plays}


def test_what_a_pod_plays(build: Callable[..., MeshModel], workload: Callable[..., str]) -> None:
    text = "meshtest.dev/standin: ext-authz, meshtest.dev/allow-service-accounts: 'a, b,'"
    (pod,) = build(annotated(workload, text)).pods
    assert (plays(pod), allowed_accounts(pod)) == ("ext-authz", ("a", "b"))
    (plain,) = build(workload("b")).pods
    assert (plays(plain), allowed_accounts(plain)) == ("workload", ())


def test_a_part_that_nobody_plays(build: Callable[..., MeshModel], workload: Callable[..., str]) -> None:
    with pytest.raises(
        ManifestError, match=r"mesh.yaml:\d+: .*no stand-in plays 'keys'; expected one of workload"
    ):
        build(annotated(workload, "meshtest.dev/standin: keys"))
