"""A pytest plugin that gives `meshtest run` its exit status: unknown is neither a pass nor a fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshtest.cli import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterable

UNKNOWN = 2


def pytest_configure(config: pytest.Config) -> None:
    """Watch the results in the process that decides on the exit status."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcome(), "meshtest_outcome")


class Outcome:
    """What failed, and why."""

    def __init__(self) -> None:
        self._verdicts: list[str] = []
        self._interrupted = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdict of what failed; a failure without one is plain pytest's."""
        if report.failed:
            self._verdicts.append(getattr(report, "meshtest", {}).get("verdict", "fail"))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C from what pytest derives from it: errors of collection, `pytest.exit`."""
        self._interrupted = excinfo.type is KeyboardInterrupt

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Put the status where pytest takes it from."""
        session.exitstatus = INTERRUPTED if self._interrupted else status(exitstatus, self._verdicts)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Say what is missing where there was nothing to run."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            terminalreporter.write_line(
                "meshtest: no *.mesh.yaml and no test with the `mesh` fixture is here to run"
            )


def status(exitstatus: int, verdicts: Iterable[str]) -> int:
    """The exit status, given pytest's own and the verdicts of what failed."""
    if exitstatus == pytest.ExitCode.TESTS_FAILED and set(verdicts) == {"unknown"}:
        return UNKNOWN
    return exitstatus
