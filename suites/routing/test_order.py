"""The oldest wins: which of two policies that say the same thing holds, by when they were applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

pytestmark = pytest.mark.mesh("../../fixtures/bookinfo")


def routed(name: str, status: int, created: str = "") -> str:
    time = f", creationTimestamp: {created}" if created else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}{time}}}
spec: {{hosts: [reviews], http: [{{directResponse: {{status: {status}}}}}]}}
---
"""


def answer(mesh: Mesh) -> int | None:
    return mesh.request("productpage-v1", "http://reviews:9080/").status


def test_the_one_that_was_applied_first_holds(mesh: Mesh) -> None:
    mesh.apply(routed("z-first", 418))
    mesh.apply(routed("a-second", 420))
    assert answer(mesh) == 418


def test_one_that_is_changed_stays_as_old_as_it_was(mesh: Mesh) -> None:
    mesh.apply(routed("z-first", 418))
    mesh.apply(routed("a-second", 420))
    mesh.apply(routed("z-first", 421))
    assert answer(mesh) == 421


def test_one_that_is_deleted_and_applied_again_is_the_younger(mesh: Mesh) -> None:
    mesh.apply(routed("z-first", 418))
    mesh.apply(routed("a-second", 420))
    mesh.delete(routed("z-first", 418))
    mesh.apply(routed("z-first", 418))
    assert answer(mesh) == 420


def test_in_one_file_the_order_of_the_documents_counts(mesh: Mesh) -> None:
    mesh.apply(routed("b", 418) + routed("a", 420))
    assert answer(mesh) == 418


def test_a_time_that_the_manifest_says_wins_over_the_order(mesh: Mesh) -> None:
    mesh.apply(routed("b", 418, "2024-06-01T00:00:00Z") + routed("a", 420, "2023-01-01T00:00:00Z"))
    assert answer(mesh) == 420
