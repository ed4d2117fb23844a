from __future__ import annotations

import pytest

from meshtest.explain.truth import Truth, Unknown, every, negated, some

OPEN = Unknown("why not")


@pytest.mark.parametrize(
    ("items", "all_hold", "one_holds"),
    [
        ([], True, False),
        ([True, True], True, True),
        ([True, False], False, True),
        ([OPEN, False], False, OPEN),
        ([OPEN, True], OPEN, True),
        ([OPEN, Unknown("another reason")], OPEN, OPEN),
    ],
    ids=["nothing", "yes", "both", "unknown-or-no", "unknown-or-yes", "two-unknown"],
)
def test_what_decides_decides_whatever_is_unknown(
    items: list[Truth], all_hold: Truth, one_holds: Truth
) -> None:
    assert every(items) == all_hold
    assert some(items) == one_holds


def test_of_the_unknown_the_opposite_is_unknown() -> None:
    assert negated(OPEN) is OPEN
    assert negated(every([])) is False


def test_unknown_is_never_taken_for_a_yes() -> None:
    with pytest.raises(TypeError, match="why not"):
        bool(OPEN)
