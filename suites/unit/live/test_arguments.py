from __future__ import annotations

import pytest

from meshtest.errors import ScenarioError
from meshtest.live.arguments import member
from meshtest.runtime.base import Part


@pytest.mark.parametrize("given", [Part.SIDECAR, "sidecar"])
def test_a_part_of_a_pod_is_itself_or_its_word(given: Part | str) -> None:
    assert member(Part, given, "part") is Part.SIDECAR


def test_another_word_is_an_error_with_the_nearest() -> None:
    with pytest.raises(
        ScenarioError, match=r"part: unknown part 'sidecars'.*one of application, sidecar.*'sidecar'"
    ):
        member(Part, "sidecars", "part")
