"""Every error that meshtest raises.

MeshTestError
├── ScenarioError           the user's file is wrong
│   └── ManifestError       a manifest is wrong, or would be refused by a cluster
├── RuntimeFailure          the environment is wrong: a tool is missing, a process did not start
│   ├── EngineError         the istiod engine is missing, cannot be built, or failed
│   └── Unsupported         what is asked for cannot be done here
├── ConfigurationRejected   an Envoy refused (NACKed) what it was sent
└── CheckFailure            the mesh misbehaved (an AssertionError)
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Location:
    """A line of a file that a user wrote; `file` is shown as it was given."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class MeshTestError(Exception):
    """Raised when meshtest cannot do what it was asked; the root of the tree."""


class ScenarioError(MeshTestError):
    """Raised when a file of the user is wrong: `file:line: key.path: problem; expected ...; did you mean ...`."""

    def __init__(
        self,
        problem: str,
        *,
        location: Location | None = None,
        key: str = "",
        expected: str = "",
        nearest: str | None = None,
    ) -> None:
        self.problem = problem
        self.location = location
        self.key = key
        where = f"{location}: " if location else ""
        path = f"{key}: " if key else ""
        hint = f"; expected {expected}" if expected else ""
        guess = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"{where}{path}{problem}{hint}{guess}")


class ManifestError(ScenarioError):
    """Raised when a manifest is wrong, or would be refused by a cluster."""


class RuntimeFailure(MeshTestError):  # noqa: N818 - the family's name in the house style
    """Raised when the environment is wrong: a tool is missing or a process did not start."""


class EngineError(RuntimeFailure):
    """Raised when the istiod engine is missing, cannot be built, or failed."""


class Unsupported(RuntimeFailure):
    """Raised when what is asked for cannot be done on this machine or by this runtime."""


class ConfigurationRejected(MeshTestError):  # noqa: N818 - says what happened, not that it is an error
    """Raised when an Envoy refused (NACKed) what it was sent; names the resource and Envoy's reason."""


class CheckFailure(MeshTestError, AssertionError):  # noqa: N818 - as pytest's own Failed
    """Raised when the mesh misbehaved: an expectation of a scenario did not hold."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that the user most likely meant, if any is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
