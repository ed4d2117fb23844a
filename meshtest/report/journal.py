"""The journal on disk: written as results come in, read by whoever renders; its format is `report.model`.

Every file is written whole or not at all, readable by all, and never holds a private key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from meshtest.errors import MeshTestError
from meshtest.report.clean import clean, home
from meshtest.report.exchanges import unpack
from meshtest.report.model import FORMAT, Summary
from meshtest.report.results import complete, merge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshtest.report.model import Result, Run

_MARK = f'{{"format":"{FORMAT}"'
"""How every file of a journal begins: what does not is somebody else's and stays untouched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal of one run, below `directory`."""

    directory: Path

    @property
    def results(self) -> Path:
        """The folder with one file per result."""
        return self.directory / "journal"

    def start(self) -> None:
        """Forget an earlier run."""
        for path in (*self.results.glob("*.json"), self.directory / "run.json"):
            if _is_ours(path):
                path.unlink(missing_ok=True)

    def write(self, result: Mapping[str, Any]) -> Path:
        """Keep one result; a second one with the same id replaces the first."""
        whole = complete(clean(dict(result), home=home()))
        path = self.results / f"{slug(whole['name'], whole['id'])}.json"
        return write_atomically(path, _layout(whole))

    def write_run(self, run: Run) -> Path:
        """Keep the facts of the run."""
        return write_atomically(self.directory / "run.json", _layout(clean(dict(run), home=home())))

    def read(self) -> tuple[Run, list[Result]]:
        """What was written; a result that cannot be read is there as `unknown`.

        Raises:
            MeshTestError: there is no journal here.
        """
        paths = sorted(self.results.glob("*.json"))
        facts = self.directory / "run.json"
        if not paths and not facts.is_file():
            raise MeshTestError(
                f"{self.directory}: no journal here; expected run.json and journal/*.json, "
                "which `pytest -m mesh --mesh-report DIR` writes"
            )
        return _read_run(facts), merge(_read_result(path) for path in paths)


def slug(name: str, identity: str) -> str:
    """A file name that says which result it holds, and that no two results of a run share."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "result"
    return f"{words}-{hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:6]}"


def write_atomically(path: Path, text: str) -> Path:
    """Write the text so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)  # noqa: PTH105 - name is a str, and this is the whole point
    except BaseException:
        os.unlink(name)  # noqa: PTH108 - likewise
        raise
    return path


def _layout(whole: Mapping[str, Any]) -> str:
    """JSON with one key per line and one exchange per line, so that `grep` and `diff` are of use."""
    ordered = {"format": FORMAT, **whole}
    lines = (f"{json.dumps(key)}:{_value(value)}" for key, value in ordered.items())
    return "{" + ",\n".join(lines) + "}\n"


def _value(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("rows"), list):
        head = _compact({key: item for key, item in value.items() if key != "rows"})
        rows = ",\n  ".join(map(_compact, value["rows"]))
        return f'{head[:-1]},"rows":[\n  {rows}]}}'
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def _read_run(path: Path) -> Run:
    found = _read_object(path)
    return cast("Run", found if isinstance(found, dict) else {"format": FORMAT, "finished": False})


def _read_result(path: Path) -> Result:
    found = _read_object(path)
    problem = found if isinstance(found, str) else _problem(found)
    if not problem:
        return complete(found)
    return complete(
        {"id": path.name, "verdict": "unknown", "reason": f"journal/{path.name} cannot be read: {problem}"}
    )


def _problem(found: Any) -> str:
    """What is wrong with a file that is JSON, but perhaps of another version or of somebody else."""
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return f"not of format {FORMAT}"
    try:
        table = complete(found)["exchanges"]
        unpack(table)
        missing = set(Summary.__annotations__) - set(table.get("summary", {})) if table.get("rows") else ()
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        return f"exchanges: {type(exc).__name__}: {exc}"
    return f"exchanges: summary lacks {', '.join(sorted(missing))}" if missing else ""


def _read_object(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        return f"{type(exc).__name__}: {exc}"
