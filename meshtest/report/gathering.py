"""Gathers the results of a run in pytest's controller: each into the journal as it comes, the page at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from meshtest import __version__
from meshtest.report.html import render
from meshtest.report.journal import Journal
from meshtest.report.results import counts, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Gathering:
    """One run's journal under way."""

    def __init__(self, directory: Path, facts: Mapping[str, Any]) -> None:
        self._last: dict[str, dict[str, Any]] = {}
        self._directory = directory
        self._facts = facts
        self._journal = Journal(directory=directory)
        self._began = time.time()

    @property
    def results(self) -> list[dict[str, Any]]:
        """One per test: the last, which names the verdicts of the earlier ones."""
        return list(self._last.values())

    def add(self, result: dict[str, Any]) -> None:
        """Keep one result at once: a run that dies leaves what it knew."""
        if not self._last:
            self._journal.start()
        before = self._last.pop(result["id"], None)
        if before is not None:
            result = {**result, "earlier": [*before.get("earlier", ()), before["verdict"]]}
        self._last[result["id"]] = result
        self._journal.write(result)

    def finish(self) -> Path:
        """Write the facts of the run and the page; returns the page."""
        start = min([self._began, *(float(one["start"]) for one in self.results if one.get("start"))])
        self._journal.write_run(
            run(
                **self._facts,
                meshtest=__version__,
                start=start,
                duration=time.time() - start,
                finished=True,
                counts=counts(self.results),
                **_common(self.results),
            )
        )
        return render(self._directory)


def _common(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all results agree on."""
    found: dict[str, Any] = {}
    for key in ("runtime", "seed", "envoy", "istiod"):
        values = {one[key] for one in results if one.get(key)}
        if len(values) == 1:
            found[key] = values.pop()
    return found
