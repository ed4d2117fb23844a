from __future__ import annotations

from pathlib import Path

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.arguments import meant, member, options_of
from meshtest.mesh.manifests import load
from meshtest.runtime.base import Part
from meshtest.waiting import Timeouts

HELD = load(
    [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b", "namespace": "c"}},
    ]
)


@pytest.mark.parametrize("given", [Part.SIDECAR, "sidecar"])
def test_a_part_of_a_pod_is_itself_or_its_word(given: Part | str) -> None:
    assert member(Part, given, "part") is Part.SIDECAR


def test_another_word_is_an_error_with_the_nearest() -> None:
    with pytest.raises(
        ScenarioError, match=r"part: unknown part 'sidecars'.*one of application, sidecar.*'sidecar'"
    ):
        member(Part, "sidecars", "part")


@pytest.mark.parametrize(
    ("text", "index"), [("Secret/a", 0), ("secret/a", 0), ("Secret/default/a", 0), ("secret/c/b", 1)]
)
def test_an_object_may_be_named_as_kubectl_does(text: str, index: int) -> None:
    assert meant(text, HELD) is HELD[index]


@pytest.mark.parametrize(
    "source", ["policies/a.yaml", "policies/a", "a", Path("Secret/a"), {"kind": "Secret"}]
)
def test_other_sources_are_what_they_are(source: object) -> None:
    assert meant(source, HELD) is source  # type: ignore[arg-type]  # of every shape


def test_a_name_of_nothing_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match=r"^delete: Secret default/b is not in the mesh.*did you mean"):
        meant("Secret/b", HELD)


def test_options_of_a_mesh_in_plain_words() -> None:
    found = options_of(
        {"timeouts": {"request": "5s", "start": 90}, "engine_env": {"PILOT_HTTP10": True, "N": 1}}
    )
    assert found["timeouts"] == Timeouts(request=5.0, start=90.0)
    assert found["engine_env"] == {"PILOT_HTTP10": "true", "N": "1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 5}, "^unknown argument 'seeds'; expected some of seed, .*did you mean 'seed'"),
        ({"timeouts": {"requst": 5}}, "^timeouts: unknown key 'requst'; .*did you mean 'request'"),
        ({"timeouts": {"request": 0}}, "^timeout: 0 is no time limit"),
    ],
    ids=["option", "timeout", "time"],
)
def test_wrong_options_are_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        options_of(options)
