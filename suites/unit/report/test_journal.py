from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import MeshTestError
from meshtest.report.journal import Journal, slug, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

KEY = "-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n-----END PRIVATE KEY-----\n"


def test_gives_back_what_was_written(tmp_path: Path, invented: Any) -> None:
    journal, results = (
        Journal(directory=tmp_path),
        [invented.failed(), invented.unknown(), invented.scenario()],
    )
    for one in results:
        journal.write(one)
    journal.write_run(invented.facts(results))
    run, found = journal.read()
    assert run == invented.facts(results)
    assert sorted(found, key=lambda one: one["id"]) == sorted(results, key=lambda one: one["id"])


def test_files_are_readable_by_all_and_leave_nothing_beside_them(tmp_path: Path, invented: Any) -> None:
    path = Journal(directory=tmp_path).write(invented.scenario())
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]
    assert path.name.startswith("retry-mends-one-bad-attempt-")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(target, "new")
    assert list(tmp_path.iterdir()) == [target]


def test_no_private_key_reaches_the_disk(tmp_path: Path, invented: Any) -> None:
    leaky = invented.scenario(failure=KEY, policies=[{"ref": "Secret a/b", "yaml": KEY}], labels={KEY: KEY})
    text = Journal(directory=tmp_path).write({**leaky, "reason": KEY}).read_text()
    assert "PRIVATE KEY" not in text
    assert "MHcCAQEE" not in text


def test_starting_forgets_an_earlier_run_and_nothing_else(tmp_path: Path, invented: Any) -> None:
    journal = Journal(directory=tmp_path)
    journal.write(invented.scenario())
    journal.write_run(invented.facts([]))
    theirs = [tmp_path / "journal" / "notes.json", tmp_path / "package.json"]
    for path in theirs:
        path.write_text("{}")
    journal.start()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == theirs


def test_two_results_of_one_name_do_not_share_a_file() -> None:
    assert slug("same", "a::same") != slug("same", "b::same")
    assert slug("../../etc/passwd", "x").startswith("etc-passwd-")
    assert slug("…", "x").startswith("result-")
    assert len(slug("long" * 200, "x")) < 100


def test_the_same_result_written_twice_is_one_file(tmp_path: Path, invented: Any) -> None:
    journal = Journal(directory=tmp_path)
    assert journal.write(invented.scenario(verdict="fail")) == journal.write(invented.scenario())
    assert [one["verdict"] for one in journal.read()[1]] == ["pass"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": "other/v9"}',
        '{"format": "meshtest.dev/journal/v1", "exchanges": {"columns": ["id"], "rows": [[1, 2]]}}',
        '{"format": "meshtest.dev/journal/v1", "exchanges": {"columns": ["hops"], "rows": [[[]]]}}',
    ],
    ids=["half", "list", "other", "rows", "summary"],
)
def test_a_result_that_cannot_be_read_is_unknown(tmp_path: Path, text: str) -> None:
    write_atomically(tmp_path / "journal" / "broken.json", text)
    (found,) = Journal(directory=tmp_path).read()[1]
    assert found["verdict"] == "unknown"
    assert "journal/broken.json cannot be read" in found["reason"]


def test_a_folder_without_journal_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MeshTestError, match="no journal here; expected"):
        Journal(directory=tmp_path).read()


def test_a_journal_can_be_searched_by_line(tmp_path: Path, invented: Any) -> None:
    path = Journal(directory=tmp_path).write(invented.scenario())
    lines = path.read_text().splitlines()
    assert sum('"http://ratings:9080/ratings/0"' in line for line in lines) == 20
    assert json.loads(path.read_text())["exchanges"]["total"] == 20
