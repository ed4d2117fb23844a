"""Sidecars that stand still or have ended on purpose: a push does not wait for them, and they catch up later.

    present ── push ──► sent, acknowledged, live                   away ── push ──► kept; brought when it is back

Whoever waits for one that leaves meanwhile is let go at once: it would be waiting for whom nobody has told to go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from meshtest.envoy.sds import Secrets

T = TypeVar("T")


class Away:
    """Which proxies nobody waits for."""

    def __init__(self, secrets: Secrets) -> None:
        self._nodes: frozenset[str] = frozenset()
        self._waiting: dict[str, set[asyncio.Future[Any]]] = {}
        self._cannot_follow = secrets.keeps_from_starting
        secrets.on_end = self._look_again

    def __contains__(self, node: str) -> bool:
        """Whether a push does not wait for it: stopped, or unable to start for want of a certificate."""
        return node in self._nodes or self._cannot_follow(node)

    def stands_still(self, node: str) -> bool:
        """Whether it answers nothing at all."""
        return node in self._nodes

    def become(self, nodes: Iterable[str]) -> frozenset[str]:
        """These and no others from now on; returns those that are back."""
        before, self._nodes = self._nodes, frozenset(nodes)
        for node in self._nodes - before:
            for doing in self._waiting.get(node, ()):
                doing.cancel()
        return before - self._nodes

    def _look_again(self) -> None:
        """Let go of whoever can no longer follow: one that was waited for has ended, its successor cannot start."""
        for node, works in self._waiting.items():
            if works and self._cannot_follow(node):
                for doing in works:
                    doing.cancel()

    async def unless(self, node: str, work: Coroutine[None, None, T]) -> T | None:
        """What the work returns; None as soon as the proxy is away, wherever the work is then."""
        if node in self:
            work.close()
            return None
        doing = asyncio.ensure_future(work)
        others = self._waiting.setdefault(node, set())
        others.add(doing)
        try:
            return await doing
        except asyncio.CancelledError:
            ours = asyncio.current_task()
            if ours is not None and ours.cancelling():  # not the proxy has left, but who asked
                raise
            return None
        finally:
            others.discard(doing)
