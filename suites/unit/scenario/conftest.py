"""Scenario files with one thing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshtest.errors import ScenarioError
from meshtest.scenario import Scenario, load

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
apiVersion: meshtest.dev/v1
kind: Scenario
metadata: {name: retries}
spec:
"""
USUAL = {
    "manifests": "manifests: [mesh.yaml]",
    "traffic": "traffic: {from: reviews-v2, request: http://ratings:9080/ratings/0}",
    "expect": "expect: [status: 200]",
}


class Files:
    """Writes scenario files and loads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mesh.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: ratings}\n")

    def load(self, text: str) -> list[Scenario]:
        """The scenarios of a file's text."""
        path = self.folder / "s.mesh.yaml"
        path.write_text(text)
        return load(path)

    def text(self, *more: str, **parts: str) -> str:
        """A whole scenario; keywords replace the lines of a key, further arguments are added."""
        lines = [*{**USUAL, **parts}.values(), *more]
        return HEAD + "".join(f"  {line}\n" for part in lines if part for line in part.splitlines())

    def one(self, *more: str, **parts: str) -> Scenario:
        """A single scenario with some parts of its own."""
        (scenario,) = self.load(self.text(*more, **parts))
        return scenario

    def error(self, *more: str, **parts: str) -> str:
        """What is said of a wrong scenario, without the folder."""
        return self.error_of(self.text(*more, **parts))

    def error_of(self, text: str) -> str:
        """What is said of a wrong file, without the folder."""
        with pytest.raises(ScenarioError) as caught:
            self.load(text)
        return str(caught.value).replace(f"{self.folder}/", "")


@pytest.fixture
def files(tmp_path: Path) -> Any:
    return Files(tmp_path)
