from __future__ import annotations

from meshtest.waiting import Timeouts


def test_a_mesh_of_many_sidecars_has_more_time_to_start_and_to_take_a_push() -> None:
    usual = Timeouts()
    assert usual.for_sidecars(0) == usual.for_sidecars(25) == usual
    many = usual.for_sidecars(100)
    assert (many.start, many.push) == (4 * usual.start, 4 * usual.push)
    assert (many.request, many.evidence, many.stop) == (usual.request, usual.evidence, usual.stop)
