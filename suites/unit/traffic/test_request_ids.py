from __future__ import annotations

import uuid

import pytest

from meshtest.traffic.accesslog import exchange_id
from meshtest.traffic.request_ids import exchange_of, request_id

NAMES = ["mt-0a1b2c-0", "mt-ffffff-1", "mt-000000-123456789"]


@pytest.mark.parametrize("name", NAMES)
def test_a_request_id_is_a_uuid_that_names_its_exchange(name: str) -> None:
    found = request_id(name)
    assert uuid.UUID(found).version == 4
    assert exchange_of(found) == name
    assert exchange_id({"request_id": found}) == name


@pytest.mark.parametrize("trace", "49ab")
def test_what_envoy_notes_in_it_does_not_matter(trace: str) -> None:
    found = request_id(NAMES[0])
    assert exchange_of(found[:14] + trace + found[15:]) == NAMES[0]


@pytest.mark.parametrize("name", ["x", "mt-0a1b-0", "8e6c2d2f-0000-4000-8000-000000000000"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert request_id(name) == exchange_of(name) == name


def test_the_dice_are_fair() -> None:
    """Envoy's share of 10 % by the first eight digits, over any thousand requests in a row."""
    for run in ("000000", "0a1b2c", "ffffff"):
        rolls = [int(request_id(f"mt-{run}-{n}")[:8], 16) % 10_000 for n in range(1000)]
        assert 80 <= sum(roll < 1000 for roll in rolls) <= 120
