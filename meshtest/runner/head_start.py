"""Starts what takes longest before the rest is even imported; nothing heavy here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import EngineError, RuntimeFailure
from meshtest.live.roles import EVERYWHERE

if TYPE_CHECKING:
    from meshtest.istiod.engine import Engine
    from meshtest.runtime.base import Runtime


def engine() -> Engine | None:
    """An engine that comes up while its caller gets ready; None where it has to be built, or cannot run."""
    from meshtest.istiod.binary import find  # noqa: PLC0415 - not before a scenario is collected
    from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above

    try:
        binary = find()
        return Engine.start(binary) if binary else None
    except EngineError:  # said when the engine is needed
        return None


def runtime(name: str) -> Runtime | None:
    """The runtime of this name, with a sandbox begun; None where what can run here has to be tried out."""
    from meshtest.runtime import early  # noqa: PLC0415 - as above
    from meshtest.runtime.abilities import Preparing  # noqa: PLC0415 - as above

    found = early(name)
    if isinstance(found, Preparing):
        try:
            found.prepare(EVERYWHERE)
        except RuntimeFailure:  # said when the sandbox is needed
            return None
    return found
