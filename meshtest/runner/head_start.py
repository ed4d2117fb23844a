"""Starts what takes longest before the rest is even imported; nothing heavy here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import EngineError

if TYPE_CHECKING:
    from meshtest.istiod.engine import Engine


def head_start() -> Engine | None:
    """An engine that comes up while its caller gets ready; None where it has to be built, or cannot run."""
    from meshtest.istiod.binary import find  # noqa: PLC0415 - not before a scenario is collected
    from meshtest.istiod.engine import Engine  # noqa: PLC0415 - as above

    try:
        binary = find()
        return Engine.start(binary) if binary else None
    except EngineError:  # said when the engine is needed
        return None
