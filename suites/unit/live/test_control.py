from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.live.control import starving

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel


def test_who_lacks_the_same_files_is_told_of_once(model: MeshModel) -> None:
    missing = ["file-cert:/c.pem~/k.pem", "file-root:/ca.pem"]
    nodes = {pod.workload_key: pod.node_id for pod in model.pods}
    notices = list(
        starving({nodes["default/reviews-v1"]: missing, nodes["a/batch"]: ["file-root:/b.pem"]}, model)
    )
    why = "requests that need it will fail"
    assert [str(notice) for notice in notices] == [
        f"warning [missing-file]: Pod default/reviews-v1-0: its proxy has no /c.pem, /k.pem, /ca.pem: {why}",
        f"warning [missing-file]: Pod a/batch-0: its proxy has no /b.pem: {why}",
    ]
