from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest import faults
from meshtest.errors import ScenarioError
from meshtest.faults.places import callees, service_called

if TYPE_CHECKING:
    from meshtest.mesh.model import MeshModel


@pytest.mark.parametrize(
    ("to", "found"),
    [
        ("reviews-v1", ("default/reviews-v1",)),
        ("reviews", ("default/reviews-v1", "default/reviews-v2")),
        ("default/reviews", ("default/reviews-v1", "default/reviews-v2")),
        ("reviews-v1-0", ("default/reviews-v1-0",)),
        ("default/reviews-v1-0", ("default/reviews-v1-0",)),
        (["reviews-v2", "reviews"], ("default/reviews-v2", "default/reviews-v1")),
        ("*", ("*",)),
        (["reviews", "*"], ("*",)),
    ],
    ids=[
        "workload",
        "service",
        "service-with-namespace",
        "pod",
        "pod-with-namespace",
        "several",
        "all",
        "all-and-one",
    ],
)
def test_callees(model: MeshModel, to: str | list[str], found: tuple[str, ...]) -> None:
    assert callees(faults.abort(to=to), model) == found


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("review-v1", "abort.to: no workload, service or pod 'review-v1' in the mesh; .*mean 'reviews-v1'?"),
        ("legacy", "abort.to: 'legacy' has no sidecar, so nothing there can hold an HTTP fault"),
        ("none", "abort.to: no workload, service or pod 'none'"),
    ],
    ids=["misspelt", "no-sidecar", "service-without-pods"],
)
def test_a_place_that_can_hold_no_fault_is_an_error_with_its_line(
    model: MeshModel, to: str, message: str
) -> None:
    spec = faults.abort(to=to)
    with pytest.raises(ScenarioError, match=message) as caught:
        callees(spec, model)
    assert str(caught.value).startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("host", "namespace", "key"),
    [
        ("ratings", "default", "default/ratings"),
        ("ratings", "b", "b/ratings"),
        ("ratings.b", "default", "b/ratings"),
        ("ratings.b.svc", "default", "b/ratings"),
        ("ratings.b.svc.cluster.local", "default", "b/ratings"),
        ("reviews", "b", None),
        ("elsewhere.example", "default", None),
    ],
)
def test_a_host_means_a_service(model: MeshModel, host: str, namespace: str, key: str | None) -> None:
    found = service_called(host, namespace, model)
    assert (found.key if found else None) == key
