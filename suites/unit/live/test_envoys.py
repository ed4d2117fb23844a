from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest import Mesh
from meshtest.errors import RuntimeFailure
from meshtest.live.applications import Applications
from meshtest.live.envoys import versions
from meshtest.mesh.model import Pod, PodKind

if TYPE_CHECKING:
    from collections.abc import Callable

POD = Pod(
    namespace="default", name="web-0", workload="web", workload_kind="Deployment", ip="10.244.0.2",
    kind=PodKind.SIDECAR, labels={},
)  # fmt: skip
OTHER = replace(POD, name="db-0", workload="db", proxy_image="istio/proxyv2:1")
BOOKINFO = Path(__file__).parents[3] / "fixtures" / "bookinfo"
SAID = {
    "default/web-0": "abc/1.40.0/Clean/RELEASE/BoringSSL",
    "default/db-0": "def/1.39.1-dev/Clean/RELEASE/BoringSSL",
}


def says(table: dict[str, str]) -> Callable[[str], str]:
    return lambda pod: json.dumps({"version": table[pod]})


def test_each_kind_of_envoy_says_its_version() -> None:
    assert versions([POD, OTHER], says(SAID)) == "1.40.0; 1.39.1-dev (istio/proxyv2:1: default/db)"


def test_a_mesh_without_envoys_has_none() -> None:
    assert versions([replace(POD, kind=PodKind.PLAIN)], says({})) == ""


def test_an_envoy_that_cannot_be_asked_is_said_to_be_unknown() -> None:
    def silent(_: str) -> str:
        raise RuntimeFailure("paused")

    assert versions([POD], silent) == "an Envoy that does not say its version"


def test_metadata_is_exchanged_only_where_every_envoy_can() -> None:
    assert Applications(proxies={"web": "a"}).switches == {}
    assert Applications(proxies={"*": "a"}).switches == {"PILOT_ENABLE_METADATA_EXCHANGE": "true"}


def test_statistics_have_envoys_names_and_those_of_a_cluster_come_with_its_first_use() -> None:
    counter = "cluster.outbound|9080||{}.default.svc.cluster.local;.upstream_rq_total"
    with Mesh.from_manifests(BOOKINFO, runtime="netns") as mesh:
        mesh.send("productpage-v1", "http://reviews:9080/", requests=3)
        said = dict(line.partition(": ")[::2] for line in mesh.admin("productpage-v1", "/stats").splitlines())
    assert said[counter.format("reviews")] == "3"
    assert counter.format("ratings") not in said
