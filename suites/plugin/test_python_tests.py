"""Python tests with the `mesh` fixture: which mesh they get, what is left of it, what the report says."""

from __future__ import annotations

from typing import Any

import pytest

TESTS = '''\
import pytest
from meshtest import faults

URL = "http://reviews:9080/reviews/0"
POLICY = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{directResponse: {status: 418}}]}
"""
pytestmark = pytest.mark.mesh(BOOKINFO)


def test_answers(mesh):
    assert mesh.request("productpage-v1", URL).status == 200


def test_applies_a_policy(mesh):
    mesh.apply(POLICY)
    assert mesh.request("productpage-v1", URL).status == 418


def test_policy_is_gone(mesh):
    assert mesh.request("productpage-v1", URL).status == 200


def test_deletes_a_service(mesh):
    mesh.delete("apiVersion: v1\\nkind: Service\\nmetadata: {name: reviews}\\n")
    assert "reviews" not in {service.name for service in mesh.services}


def test_service_is_back(mesh):
    assert mesh.request("productpage-v1", URL).status == 200


def test_fails(mesh):
    assert mesh.request("productpage-v1", URL).status == 404, "not 404"


@pytest.mark.xfail(reason="known", strict=True)
def test_fails_as_expected(mesh):
    assert mesh.request("productpage-v1", URL).status == 404


def test_skips(mesh):
    pytest.skip("not today")


def test_asks_for_nonsense(mesh):
    mesh.request("nobody", URL)


@pytest.fixture
def broken_at_the_end(mesh):
    yield
    raise RuntimeError("lost my way")


def test_ends_badly(mesh, broken_at_the_end):
    pass


@pytest.fixture
def marked(mesh):
    with mesh.inject(faults.abort(to="reviews", http_status=503, percentage=30)):
        history = mesh.send("productpage-v1", URL, requests=20)
    return [number for number, one in enumerate(history.exchanges) if one.faults]


def test_hits(marked, record_property):
    record_property("hit", ",".join(map(str, marked)))
    assert len(marked) == 6


@pytest.mark.mesh("nowhere/")
def test_manifests_that_are_not_there(mesh):
    raise AssertionError("never runs")


@pytest.mark.mesh(BOOKINFO, mesh_confg={})
def test_misspelt_argument(mesh):
    raise AssertionError("never runs")
'''


@pytest.fixture(scope="module")
def run(shared_project: Any, bookinfo: Any) -> Any:
    shared_project.write("test_it.py", TESTS.replace("BOOKINFO", repr(str(bookinfo))))
    return shared_project.run("-ojunit_family=legacy", "--junitxml=junit.xml", "--mesh-seed=11", "-rA")


def test_what_one_test_did_is_gone_in_the_next(run: Any) -> None:
    passed = [
        "test_answers",
        "test_applies_a_policy",
        "test_policy_is_gone",
        "test_service_is_back",
        "test_hits",
    ]
    for name in passed:
        run.has(f"PASSED test_it.py::{name}")


VERDICTS = {
    "test_answers": ("pass", ""),
    "test_applies_a_policy": ("pass", ""),
    "test_fails": ("fail", "AssertionError: not 404"),
    "test_fails_as_expected": ("skipped", "expected to fail: known"),
    "test_skips": ("skipped", "not today"),
    "test_asks_for_nonsense": ("error", "no workload 'nobody' in the mesh; expected one of *"),
    "test_ends_badly": ("error", "RuntimeError: lost my way"),
    "test_manifests_that_are_not_there": ("error", "*nowhere*"),
    "test_misspelt_argument": (
        "error",
        "mesh: unknown argument 'mesh_confg'; *; did you mean 'mesh_config'?",
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_report_has_the_outcome_and_its_reason(run: Any, name: str) -> None:
    entry = run.journal[name]
    verdict, reason = VERDICTS[name]
    assert entry["verdict"] == verdict
    pytest.LineMatcher([entry["reason"]]).fnmatch_lines([reason])


def test_the_report_has_what_was_sent(run: Any) -> None:
    entry = run.journal["test_hits"]
    assert (entry["kind"], entry["seed"], entry["exchanges"]["total"]) == ("test", 11, 20)
    assert [fault["hits"] for fault in entry["faults"]] == [6]
    assert run.journal["test_answers"]["exchanges"]["total"] == 1
    assert run.journal["test_hits"]["duration"] > 0


def test_what_is_wrong_with_the_fixture_is_told_without_traceback(run: Any) -> None:
    run.has("*ERROR at setup of test_manifests_that_are_not_there*")
    run.has("*ERROR at setup of test_misspelt_argument*", "mesh: unknown argument*")
    assert "pytest_plugin.py" not in run.text


def test_the_same_seed_hits_the_same_requests(run: Any, shared_project: Any) -> None:
    again = shared_project.run(
        "-ojunit_family=legacy", "--mesh-seed=11", "-k", "hits", "--junitxml=again.xml", "--mesh-report=other"
    )
    other = shared_project.run(
        "-ojunit_family=legacy", "--mesh-seed=12", "-k", "hits", "--junitxml=other.xml", "--mesh-report=other"
    )
    assert (again.code, other.code) == (0, 0)
    names = ("junit.xml", "again.xml", "other.xml")
    first, second, third = (hit((run.folder / name).read_text()) for name in names)
    assert first == second
    assert first != third


def hit(junit: str) -> str:
    return junit.partition('name="hit" value="')[2].partition('"')[0]


def test_a_mesh_from_the_ini_file(project: Any, bookinfo: Any) -> None:
    project.write("pytest.ini", f"[pytest]\nmesh_manifests = {bookinfo}\nmesh_report = kept\n")
    project.write("sub/test_it.py", "def test_pods(mesh):\n    assert len(mesh.pods) == 6\n")
    run = project.run("sub")
    assert run.code == 0
    assert (project.folder / "kept" / "index.html").is_file()


def test_no_manifests_at_all(project: Any) -> None:
    project.write("test_it.py", "def test_pods(mesh):\n    raise AssertionError\n")
    run = project.run()
    run.has(
        "*ERROR at setup of test_pods*",
        "the `mesh` fixture needs manifests: @pytest.mark.mesh('folder/') on the test, or the ini key mesh_manifests",
    )
    assert "pytest_plugin.py" not in run.text
    assert run.journal["test_pods"]["verdict"] == "error"
    run.has("mesh: 1 in error; report: reports/index.html")
