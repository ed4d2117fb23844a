"""The pytest plugin: `*.mesh.yaml` files become items, the `mesh` fixture gives a running mesh.

Imports nothing of meshtest until a scenario is collected or the fixture is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from meshtest.live.mesh import Mesh
    from meshtest.report.gathering import Gathering
    from meshtest.runner.pool import MeshPool
    from meshtest.scenario.model import Scenario

SUFFIXES = (".mesh.yaml", ".mesh.yml")

_pool_key = pytest.StashKey["MeshPool"]()
_item_key = pytest.StashKey[dict[str, Any]]()
_call_key = pytest.StashKey[pytest.TestReport]()

_OPTIONS = {
    "mesh_runtime": ("NAME", "runtime of the pods: auto, netns or docker", "auto"),
    "mesh_report": ("DIR", "where the journal and the HTML report go", "reports"),
    "mesh_seed": ("N", "seed of every random choice (default: a new one per run)", ""),
}
_FLAGS = {
    "mesh_keep": "keep the meshes of failed scenarios until a key is pressed",
    "mesh_allow_unsupported": "list kinds and fields that meshtest does not act on instead of refusing them",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Command line options; each is an ini key as well."""
    group = parser.getgroup("meshtest", "service mesh tests")
    for name, (metavar, text, default) in _OPTIONS.items():
        group.addoption(f"--{name.replace('_', '-')}", metavar=metavar, default=None, help=text)
        parser.addini(name, text, default=default)
    for name, text in _FLAGS.items():
        group.addoption(f"--{name.replace('_', '-')}", action="store_true", default=None, help=text)
        parser.addini(name, text, type="bool", default=False)
    parser.addini("mesh_manifests", "manifests of the `mesh` fixture where a test names none", type="paths")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options."""
    config.addinivalue_line(
        "markers",
        "mesh(*manifests, calls=..., commands=..., mesh_config=...): a test on a live mesh; "
        "the arguments say which one the `mesh` fixture gives",
    )
    runtime = _option(config, "mesh_runtime")
    if runtime not in {"auto", "netns", "docker"}:
        raise pytest.UsageError(f"--mesh-runtime {runtime}: expected auto, netns or docker")
    seed = _option(config, "mesh_seed")
    if seed and not str(seed).isdecimal():
        raise pytest.UsageError(f"--mesh-seed {seed}: expected a whole number")


def _option(config: pytest.Config, name: str) -> Any:
    given = config.getoption(name, None)
    return config.getini(name) if given is None else given


def _pool(config: pytest.Config) -> MeshPool:
    if _pool_key not in config.stash:
        from meshtest.runner.pool import MeshPool, PoolOptions  # noqa: PLC0415 - nothing heavy before it is needed

        seed = _option(config, "mesh_seed")
        config.stash[_pool_key] = MeshPool(
            PoolOptions(
                runtime=_option(config, "mesh_runtime"),
                seed=int(seed) if seed else None,
                allow_unsupported=bool(_option(config, "mesh_allow_unsupported")),
                root=config.rootpath,
                progress=_progress(config),
            )
        )
    return config.stash[_pool_key]


def _progress(config: pytest.Config) -> Callable[[str], None]:
    """Lines about a slow step, past pytest's capture."""

    def say(line: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        capture = config.pluginmanager.get_plugin("capturemanager")
        if reporter is None:
            return
        if capture is None:
            reporter.write_line(line)
            return
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)

    return say


# -- scenarios as items --------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `*.mesh.yaml`."""
    if file_path.name.endswith(SUFFIXES):
        return ScenarioFile.from_parent(parent, path=file_path)  # type: ignore[no-any-return]  # pytest returns Any
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

        result = run_scenario(scenario, _pool(request.config), runtime=meshtest_runtime)
        entry = result.to_dict(request.node.nodeid)
        request.node.stash[_item_key] = entry
        _publish_to_allure(entry, request.config)
        result.raise_unless_passed()

    marked: Callable[..., None] = pytest.mark.mesh(run)
    return marked


class ScenarioItem(pytest.Function):
    """One scenario: a Function, so that fixtures, marks, ids and reruns are pytest's own."""

    def __init__(self, *args: Any, scenario: Scenario, **kwargs: Any) -> None:
        self.scenario = scenario
        super().__init__(*args, **kwargs)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict's own text for what the mesh, the user or the machine did; a traceback only for a bug."""
        from meshtest.errors import MeshTestError  # noqa: PLC0415 - only where something failed

        if isinstance(excinfo.value, MeshTestError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the scenario stands in its file."""
        return self.path, self.scenario.location.line - 1, self.name


# -- fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def meshtest_runtime(pytestconfig: pytest.Config) -> str:
    """The runtime of the session's meshes; override it in a `conftest.py` to choose per folder."""
    return str(_option(pytestconfig, "mesh_runtime"))


@pytest.fixture
def mesh(request: pytest.FixtureRequest, meshtest_runtime: str) -> Generator[Mesh]:
    """A running mesh with no policies but those of its manifests.

    Which one: the arguments of the test's `mesh` marker, else the ini key `mesh_manifests`. Tests that name the same
    one share it; what a test applied is gone before the next.
    """
    marker = request.node.get_closest_marker("mesh")
    manifests = list(marker.args) if marker and marker.args else request.config.getini("mesh_manifests")
    if not manifests:
        raise pytest.UsageError(
            f"{request.node.nodeid}: the `mesh` fixture needs manifests: @pytest.mark.mesh('folder/') or ini mesh_manifests"
        )
    options = dict(marker.kwargs) if marker else {}
    found = _pool(request.config).mesh_for_test(
        manifests, request.path.parent, runtime=meshtest_runtime, **options
    )
    with _pool(request.config).recording(found) as recorded:
        yield found
    request.node.stash[_item_key] = recorded.entry(request.node.nodeid, request.node.location[1] or 0)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every test that uses the fixture carries the marker."""
    if "mesh" in getattr(item, "fixturenames", ()) and item.get_closest_marker("mesh") is None:
        item.add_marker("mesh")


# -- results -------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the result on the report: pytest carries it to the controller under xdist."""
    report = yield
    if call.when == "call":
        item.stash[_call_key] = report
    scenario = item.scenario if isinstance(item, ScenarioItem) else None
    last = "call" if scenario is not None else "teardown"
    if call.when == last or (scenario is not None and report.failed):
        entry = item.stash.get(_item_key, None)
        if entry is None and scenario is not None and report.failed:
            entry = _not_judged(item.nodeid, scenario, report)
        if entry is not None:
            told = item.stash.get(_call_key, report)
            report.meshtest = entry if scenario is not None else _told(entry, told)  # type: ignore[attr-defined]  # pytest serialises extra attributes
    return report


def _not_judged(nodeid: str, scenario: Scenario, report: pytest.TestReport) -> dict[str, Any]:
    """The entry of a scenario that this machine could not run, or that broke meshtest itself."""
    from meshtest.report.results import result  # noqa: PLC0415 - only where something failed

    text = report.longreprtext
    return dict(
        result(
            id=nodeid, name=scenario.name, line=scenario.location.line, description=scenario.description,
            labels=dict(scenario.labels), verdict="error", reason=text.partition("\n")[0], failure=text,
        )
    )  # fmt: skip


def _told(entry: dict[str, Any], report: pytest.TestReport) -> dict[str, Any]:
    """The entry of a Python test with its outcome."""
    verdicts = {"passed": "pass", "failed": "fail", "skipped": "skipped"}
    text = report.longreprtext if report.failed else ""
    reason = getattr(getattr(report.longrepr, "reprcrash", None), "message", "") or text.rpartition("\n")[2]
    return {**entry, "verdict": verdicts[report.outcome], "failure": text, "reason": reason}


class _Gatherer:
    """Gathers results in the controller and writes the report at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._gathering: Gathering | None = None
        self._page: Path | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        entry = getattr(report, "meshtest", None)
        if entry is not None:
            if self._gathering is None:
                from meshtest.report.gathering import Gathering  # noqa: PLC0415 - only where there is a result

                self._gathering = Gathering(_report_directory(self._config), {})
            self._gathering.add(entry)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        if self._gathering is not None:
            self._page = self._gathering.finish()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._gathering is not None:
            from meshtest.report.terminal import summary_lines  # noqa: PLC0415 - as above

            page = _shown(self._page, self._config) if self._page else ""
            terminalreporter.section("mesh", sep="-")
            for line in summary_lines(self._gathering.results, page=page):
                terminalreporter.write_line(line)


def _shown(path: Path, config: pytest.Config) -> str:
    here = config.invocation_params.dir
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _report_directory(config: pytest.Config) -> Path:
    directory = Path(str(_option(config, "mesh_report")))
    return directory if directory.is_absolute() else config.invocation_params.dir / directory


def _publish_to_allure(entry: dict[str, Any], config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("allure_listener"):
        from meshtest.report.allure import publish  # noqa: PLC0415 - only beside allure-pytest

        publish(entry)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Gather in the controller only; workers carry their results on the reports."""
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Gatherer(session.config), "meshtest_gatherer")


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
