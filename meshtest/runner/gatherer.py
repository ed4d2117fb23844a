"""Gathers the results of a run in pytest's controller and tells them at its end: journal, page, terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.runner.session import report_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshtest.report.gathering import Gathering

_PHASES = {"setup", "call", "teardown"}


class Gatherer:
    """Gathers results in the controller and writes the report at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._gathering: Gathering | None = None
        self._page: Path | None = None
        self._problem = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result that came with a report."""
        entry = getattr(report, "meshtest", None)
        if entry is None and report.when not in _PHASES and _is_scenario(report):
            from meshtest.runner.outcome import died  # noqa: PLC0415 - only where a worker died

            entry = died(report)
        if entry is not None:
            self._writing(lambda gathering: gathering.add(entry))

    def _writing(self, write: Callable[[Gathering], object]) -> None:
        """Write to the journal; a folder that cannot be written must not end the run."""
        if self._gathering is None:
            from meshtest.report.gathering import Gathering  # noqa: PLC0415 - only where there is a result

            self._gathering = Gathering(report_directory(self._config), {})
        try:
            write(self._gathering)
        except OSError as exc:
            self._problem = f"the report cannot be written: {exc}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        if self._gathering is not None and not self._problem:
            self._writing(self._finish)

    def _finish(self, gathering: Gathering) -> None:
        self._page = gathering.finish()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what istiod and its analyzers warned of, and how it went."""
        if self._gathering is not None:
            from meshtest.report.terminal import message_lines, summary_lines  # noqa: PLC0415 - as above

            results = self._gathering.results
            page = _shown(self._page, self._config) if self._page else ""
            terminalreporter.section("mesh", sep="-")
            for line in (*message_lines(results), *summary_lines(results, page=page)):
                terminalreporter.write_line(line)
            if self._problem:
                terminalreporter.write_line(self._problem, red=True)


def _shown(path: Path, config: pytest.Config) -> str:
    here = config.invocation_params.dir
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _is_scenario(report: pytest.TestReport) -> bool:
    return ".mesh.y" in report.nodeid.partition("::")[0]
