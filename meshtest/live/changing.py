"""Changes that are made to a mesh while its faults are in force and its traffic runs, and what became of them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from meshtest.errors import Location, ScenarioError
from meshtest.mesh.manifests import load
from meshtest.mesh.model import Manifest
from meshtest.scenario.changes import ChangeSpec, find, in_order, object_named
from meshtest.traffic.record import ChangeMade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from meshtest.live.control import Pushed
    from meshtest.live.timing import Event
    from meshtest.mesh.model import MeshModel
    from meshtest.mesh.sources import Source


def change(
    *,
    apply: str | Path | Manifest | Sequence[str | Path | Manifest] = (),
    delete: str | Sequence[str] = (),
    at: float | None = None,
    name: str = "",
) -> ChangeSpec:
    """Something that `Mesh.inject` applies or deletes meanwhile.

    Args:
        apply: files, folders, YAML text or manifests.
        delete: objects, as `KIND/NAME` or `KIND/NAMESPACE/NAME`.
        at: seconds after the traffic began; without it the change is made before the block goes on.
        name: what the report calls it.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's line
    location = Location(file=frame.f_code.co_filename, line=frame.f_lineno)
    sources = [apply] if isinstance(apply, (str, PurePath, Manifest)) else [*apply]
    names = [delete] if isinstance(delete, str) else [*delete]
    if bool(sources) == bool(names):
        raise ScenarioError(
            "apply and delete both given" if names else "nothing to apply or delete",
            location=location, key="change", expected="one of apply and delete",
        )  # fmt: skip
    loaded = (
        [each] if isinstance(each, Manifest) else load([each], allow_unsupported=True) for each in sources
    )
    return ChangeSpec(
        location=location,
        name=name,
        apply=tuple(manifest for each in loaded for manifest in each),
        delete=tuple(object_named(each, location, "change.delete") for each in names),
        at=at,
    )


class Changeable(Protocol):
    """A mesh, as far as its manifests can be changed."""

    @property
    def model(self) -> MeshModel:
        """What it is now."""

    def apply(self, *sources: Source | Manifest) -> Pushed:
        """Add or replace objects; returns when they are live."""

    def delete(self, *sources: Source | Manifest) -> Pushed:
        """Remove objects."""


class Changes:
    """The changes of one mesh since `forget`: those to come, and those that were made."""

    def __init__(self, mesh: Changeable) -> None:
        self._mesh = mesh
        self._known: dict[str, ChangeMade] = {}

    @property
    def made(self) -> tuple[ChangeMade, ...]:
        """All of them; those whose time has not come say so."""
        return tuple(self._known.values())

    def forget(self) -> None:
        """Start a new history."""
        self._known = {}

    def expect(self, changes: Sequence[ChangeSpec]) -> None:
        """Take note of what is to come."""
        for change in changes:
            self._known[change.name] = ChangeMade(id=change.name, what=change.words)

    def make_first(self, changes: Sequence[ChangeSpec]) -> None:
        """Make those that have no time."""
        for change in changes:
            if change.at is None:
                self.make(change)

    def by_clock(self, changes: Sequence[ChangeSpec]) -> Iterator[Event]:
        """What the clock does at which time."""
        for change in in_order(changes):
            if change.at is not None:
                yield change.at, lambda change=change: self.make(change)  # type: ignore[misc]  # cannot type the default

    def make(self, change: ChangeSpec) -> None:
        """Make one; returns when it is live, or when it is known that nobody can be told."""
        asked = time.time()
        if change.apply:
            pushed = self._mesh.apply(*change.apply)
        else:
            held = self._mesh.model.manifests
            pushed = self._mesh.delete(*(find(each, held) for each in change.delete))
        self._known[change.name] = replace(
            self._known[change.name], asked=asked, made=time.time(), held=str(pushed.details.get("held", ""))
        )
