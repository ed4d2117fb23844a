"""The pytest plugin: `*.mesh.yaml` files become items, the `mesh` fixture gives a running mesh.

Imports nothing but pytest until a scenario is collected or the fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.runner import session as options
from meshtest.runner.gatherer import Gatherer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from meshtest.live.mesh import Mesh
    from meshtest.runner.pool import MeshPool, Recorded
    from meshtest.scenario.model import Scenario

SUFFIXES = (".mesh.yaml", ".mesh.yml")

_pool_key = pytest.StashKey["MeshPool"]()
_entry_key = pytest.StashKey[dict[str, Any]]()
"""Of a scenario that came to its verdict: its entry in the journal."""
_recorded_key = pytest.StashKey["Recorded"]()
"""Of a Python test: what it does with its mesh."""
_told_key = pytest.StashKey[bool]()
"""Whether the journal knows already that the item did not pass."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Command line options and ini keys."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options."""
    config.addinivalue_line(
        "markers",
        "mesh(*manifests, calls=..., commands=..., mesh_config=...): a test on a live mesh; "
        "the arguments say which one the `mesh` fixture gives",
    )
    options.check_options(config)
    if not hasattr(config, "workerinput"):  # workers carry their results on the reports
        config.pluginmanager.register(Gatherer(config), "meshtest_gatherer")


def _pool(config: pytest.Config) -> MeshPool:
    if _pool_key not in config.stash:
        from meshtest.runner import head_start  # noqa: PLC0415 - nothing heavy before it is needed

        chosen = options.option(config, "mesh_runtime")
        engine = head_start.engine()  # both come up while the rest is imported
        runtime = None if config.option.collectonly else head_start.runtime(chosen)
        from meshtest.runner.pool import MeshPool, PoolOptions  # noqa: PLC0415 - as above

        config.stash[_pool_key] = MeshPool(
            PoolOptions(
                runtime=chosen,
                seed=options.seed_of(config),
                allow_unsupported=bool(options.option(config, "mesh_allow_unsupported")),
                root=config.rootpath,
                progress=options.progress(config),
            ),
            engine,
            runtime,
        )
    return config.stash[_pool_key]


# -- scenarios as items --------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `*.mesh.yaml`."""
    if file_path.name.endswith(SUFFIXES):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.Module):
    """A file of scenarios: a Module, so that module-scoped fixtures have a node; never imported."""

    obj = None

    def collect(self) -> Iterator[pytest.Item]:
        """Read the file and judge everything that can be judged without starting anything."""
        from meshtest.errors import MeshTestError  # noqa: PLC0415 - nothing heavy before it is needed

        try:
            scenarios = _pool(self.config).load(self.path)
        except MeshTestError as exc:
            raise self.CollectError(str(exc)) from exc
        for scenario in scenarios:
            yield ScenarioItem.from_parent(
                self, name=scenario.name, callobj=_test_function(scenario), scenario=scenario
            )


def _test_function(scenario: Scenario) -> Callable[..., None]:
    """What pytest calls for a scenario; marks stand on it before the item is made."""

    def run(request: pytest.FixtureRequest, meshtest_runtime: str) -> None:
        from meshtest.runner.run import run_scenario  # noqa: PLC0415 - nothing heavy before it is needed

        pool, nodeid = _pool(request.config), request.node.nodeid
        result = run_scenario(scenario, pool, runtime=meshtest_runtime)
        entry = result.to_dict(nodeid)
        request.node.stash[_entry_key] = entry
        _publish_to_allure(entry, request.config)
        if entry["verdict"] != "pass":
            _keep(request.config, entry["failure"], pool.mesh(scenario, meshtest_runtime))
        result.raise_unless_passed()

    marked: Callable[..., None] = pytest.mark.mesh(run)
    return marked


class ScenarioItem(pytest.Function):
    """One scenario: a Function, so that fixtures, marks, ids and reruns are pytest's own."""

    def __init__(self, *args: Any, scenario: Scenario, **kwargs: Any) -> None:
        self.scenario = scenario
        super().__init__(*args, **kwargs)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002 - pytest's signature
        """The verdict's own text for what the mesh, the user or the machine did; a traceback only for a bug."""
        from meshtest.errors import MeshTestError  # noqa: PLC0415 - only where something failed

        if isinstance(excinfo.value, MeshTestError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the scenario stands in its file."""
        return self.path, self.scenario.location.line - 1, self.name


# -- fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def meshtest_runtime(pytestconfig: pytest.Config) -> str:
    """The runtime of the session's meshes; override it in a `conftest.py` to choose per folder."""
    return str(options.option(pytestconfig, "mesh_runtime"))


@pytest.fixture
def mesh(request: pytest.FixtureRequest, meshtest_runtime: str) -> Generator[Mesh]:
    """A running mesh with no policies but those of its manifests.

    Which one: the arguments of the test's `mesh` marker, else the ini key `mesh_manifests`. Tests that name the same
    one share it; what a test applied is gone before the next.
    """
    from meshtest.errors import MeshTestError  # noqa: PLC0415 - nothing heavy before it is needed

    pool = _pool(request.config)
    try:
        found = _mesh_of(request, pool, meshtest_runtime)
    except MeshTestError as exc:
        pytest.fail(str(exc), pytrace=False)
    with pool.recording(found) as recorded:
        request.node.stash[_recorded_key] = recorded
        yield found
    if request.node.stash.get(_told_key, False):
        _keep(request.config, f"{request.node.nodeid} failed", found)


def _mesh_of(request: pytest.FixtureRequest, pool: MeshPool, runtime: str) -> Mesh:
    marker = request.node.get_closest_marker("mesh")
    manifests = list(marker.args) if marker and marker.args else request.config.getini("mesh_manifests")
    if not manifests:
        pytest.fail(
            "the `mesh` fixture needs manifests: @pytest.mark.mesh('folder/') on the test, "
            "or the ini key mesh_manifests",
            pytrace=False,
        )
    options = dict(marker.kwargs) if marker else {}
    return pool.mesh_for_test(manifests, request.path.parent, runtime=runtime, **options)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every test that uses the fixture carries the marker."""
    if "mesh" in getattr(item, "fixturenames", ()) and item.get_closest_marker("mesh") is None:
        item.add_marker("mesh")


# -- results -------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget an earlier run of the same item."""
    keys: tuple[pytest.StashKey[Any], ...] = (_entry_key, _recorded_key, _told_key)
    for key in keys:
        if key in item.stash:
            del item.stash[key]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the result on the report of the phase that decides: pytest carries it to the controller under xdist."""
    report = yield
    wants_a_mesh = isinstance(item, ScenarioItem) or "mesh" in getattr(item, "fixturenames", ())
    decides = call.when == "call" or not report.passed
    if wants_a_mesh and decides and not item.stash.get(_told_key, False):
        item.stash[_told_key] = not report.passed
        raised = call.excinfo.value if call.excinfo else None
        report.meshtest = _entry(item, report, raised)  # type: ignore[attr-defined]  # pytest serialises extra attributes
    return report


def _entry(item: pytest.Item, report: pytest.TestReport, raised: BaseException | None) -> dict[str, Any]:
    from meshtest.runner.outcome import outcome  # noqa: PLC0415 - only where there is a result
    from meshtest.runner.result import nothing_sent, unjudged  # noqa: PLC0415 - as above

    line = item.location[1] or 0
    if isinstance(item, ScenarioItem):
        known = item.stash.get(_entry_key, None)
        judged = str(known["verdict"]) if known else ""
        return outcome(known or unjudged(item.scenario, item.nodeid), judged, report, raised)
    recorded: Recorded | None = item.stash.get(_recorded_key, None)
    sent = recorded.entry(item.nodeid, line) if recorded else nothing_sent(item.nodeid, line)
    return outcome(sent, "", report, raised)


def _publish_to_allure(entry: dict[str, Any], config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("allure_listener"):
        from meshtest.report.allure import publish  # noqa: PLC0415 - only beside allure-pytest

        publish(entry)


def _keep(config: pytest.Config, failure: str, mesh: Mesh) -> None:
    if options.option(config, "mesh_keep"):
        from meshtest.runner.keeping import keep  # noqa: PLC0415 - only for this option

        keep(config, failure, mesh)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End every mesh of this process."""
    pool = session.config.stash.get(_pool_key, None)
    if pool is not None:
        pool.close()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End every mesh also where the session did not finish."""
    pool = config.stash.get(_pool_key, None)
    if pool is not None:
        pool.close()
