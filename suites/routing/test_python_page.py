"""The code of docs/python.md, as it stands there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest import Mesh

BEGIN = "```python"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


@pytest.mark.mesh("../../fixtures/shop")
def test_every_line_holds(mesh: Mesh) -> None:
    kept = False
    lines: list[str] = []
    for line in PAGE.read_text().splitlines():
        kept = not line.startswith("```") and (kept or (bool(lines) and lines[-1] == BEGIN))
        lines.append(line if kept or line == BEGIN else "")
    code = "\n".join(line if line != BEGIN else "" for line in lines)  # each line where it stands on the page
    assert code.count("assert") > 10
    exec(compile(code, PAGE, "exec"), {"mesh": mesh})  # noqa: S102 - it is the project's own page
