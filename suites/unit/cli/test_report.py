from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.report.journal import Journal
from meshtest.report.results import result, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from suites.unit.cli.conftest import Said


def test_the_page_is_made_again_from_the_journal(cli: Callable[..., Said], here: Path) -> None:
    journal = Journal(directory=here / "reports")
    journal.write(result(id="a.mesh.yaml::one", verdict="pass"))
    journal.write(result(id="a.mesh.yaml::two", verdict="unknown", reason="no evidence"))
    journal.write_run(run(finished=True))
    said = cli("report")
    assert said.status == 0
    assert said.out.splitlines()[0] == "mesh: 1 passed, 1 unknown; report: reports/index.html"
    assert "no evidence" in said.out
    assert (here / "reports" / "index.html").is_file()


def test_a_folder_without_a_journal(cli: Callable[..., Said], here: Path) -> None:
    assert here.is_dir()
    said = cli("report", "nothing")
    assert said.status == 2
    assert said.err.startswith("meshtest: nothing: no journal here")
