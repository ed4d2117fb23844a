"""Removing what dead runs left, and never what a live one owns."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from meshtest.errors import RuntimeFailure
from meshtest.runtime.docker import labels
from meshtest.runtime.docker.labels import Owner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshtest.runtime.docker.client import Daemon

_ORDER = ("container", "network", "volume")
_THREADS = 8

Resource = tuple[str, str]
"""Kind and name."""


def left_behind(daemon: Daemon) -> list[Resource]:
    """What belongs to runs whose process has ended."""
    found = []
    for kind, name, carried in daemon.labelled(labels.RUN):
        owner = Owner.parse(carried.get(labels.OWNER, ""))
        if owner is not None and owner.dead():
            found.append((kind, name))
    return found


def of_run(daemon: Daemon, run: str) -> list[Resource]:
    """What belongs to one run."""
    return [(kind, name) for kind, name, _ in daemon.labelled(f"{labels.RUN}={run}")]


def remove(daemon: Daemon, resources: Iterable[Resource]) -> int:
    """Remove them, containers first; returns how many. What cannot be removed now is the next start's."""
    chosen = list(resources)
    with ThreadPoolExecutor(_THREADS) as pool:
        for kind in _ORDER:
            list(pool.map(lambda one: _remove(daemon, one), [one for one in chosen if one[0] == kind]))
    return len(chosen)


def remove_at_exit(daemon: Daemon, resources: Iterable[Resource]) -> None:
    """The same while the interpreter ends: it starts no thread any more."""
    for one in sorted(resources, key=lambda one: _ORDER.index(one[0])):
        _remove(daemon, one)


def _remove(daemon: Daemon, resource: Resource) -> None:
    with contextlib.suppress(RuntimeFailure):
        daemon.remove(*resource)
