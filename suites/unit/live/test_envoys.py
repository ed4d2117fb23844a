from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshtest import Mesh
from meshtest.errors import RuntimeFailure, ScenarioError
from meshtest.live.applications import Applications
from meshtest.live.envoys import admin_answer, versions
from meshtest.mesh.model import Pod, PodKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POD = Pod(
    namespace="default", name="web-0", workload="web", workload_kind="Deployment", ip="10.244.0.2",
    kind=PodKind.SIDECAR, labels={},
)  # fmt: skip
OTHER = replace(POD, name="db-0", workload="db", proxy_image="istio/proxyv2:1")
FIXTURES = Path(__file__).parents[3] / "fixtures"
SAID = {
    "default/web-0": "abc/1.40.0/Clean/RELEASE/BoringSSL",
    "default/db-0": "def/1.39.1-dev/Clean/RELEASE/BoringSSL",
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Mesh.from_manifests(FIXTURES / "bookinfo", FIXTURES / "legacy", runtime="netns") as made:
        yield made


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


def test_statistics_have_envoys_names_and_those_of_a_cluster_come_with_its_first_use(mesh: Mesh) -> None:
    counter = "cluster.outbound|9080||{}.default.svc.cluster.local;.upstream_rq_total"
    mesh.send("productpage-v1", "http://reviews:9080/", requests=3)
    said = dict(line.partition(": ")[::2] for line in mesh.admin("productpage-v1", "/stats").splitlines())
    assert said[counter.format("reviews")] == "3"
    assert counter.format("ratings") not in said


@pytest.mark.parametrize(
    ("pod", "path", "words"),
    [
        ("ratings-v1", "/stat", r"^path: Envoy's admin interface has no '/stat'; did you mean '/stats'\?$"),
        ("ratings-v1", "/nothing/like/it", r"^path: Envoy's admin interface has no '/nothing/like/it'$"),
        ("ratings-v1", "/stats?format=xml", r"^path: Envoy refuses '/stats\?format=xml': usage: /stats\?format="),
        ("ratings-v1", "/reset_counters", r"Envoy refuses '/reset_counters': .* POST required"),
        ("ratings-v1", "/config_dump?resource=routes", "routes not found in config dump"),
        ("ratings-v1", "stats", r"^path: 'stats' is no path; expected .*; did you mean '/stats'\?$"),
        ("ratings-v1", "/stats\r\nhost: other", r"^path: '/stats.* is no path; expected "),
        ("ratings-v1", "/stats?filter=a b", r"^path: '/stats.* is no path; expected "),
        ("ratings-v1", "", "^path: '' is no text"),
        ("ratings-v1", 7, "^path: 7 is no text"),
        ("ratings-v2", "/stats", r"^no workload 'ratings-v2' in the mesh; .*; did you mean 'default/ratings-v1'\?$"),
        ("legacy/batch", "/stats", "^legacy/batch-0 has no sidecar, so no admin interface$"),
        ("outside", "/stats", "^outside has no sidecar, so no admin interface$"),
        (None, "/stats", "^None is no name"),
    ],
    ids=[
        "misspelt", "unknown", "value", "method", "resource", "no-slash", "lines", "space", "empty", "number",
        "no-pod", "no-sidecar", "outside", "no-name",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_mistake(mesh: Mesh, pod: Any, path: Any, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        mesh.admin(pod, path)
    assert mesh.admin("ratings-v1", "/ready") == "LIVE\n"


def test_an_envoy_that_is_not_ready_has_answered() -> None:
    assert admin_answer("/ready", 503, "PRE_INITIALIZING\n") == "PRE_INITIALIZING\n"
