"""The certificate that each proxy shows and the root that it trusts, and how faults change both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshtest.envoy import sds
from meshtest.envoy.pki import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshtest.envoy.pki import Authorities


@dataclass(slots=True)
class _Turning:
    """A rotation under way."""

    task: asyncio.Task[None]
    count: int = 0


class Identities:
    """Who each proxy is, and what it shows instead while a fault lasts."""

    def __init__(self, secrets: sds.Secrets, authorities: Authorities) -> None:
        self._secrets = secrets
        self._authorities = authorities
        self._spiffe: dict[str, str] = {}
        self._turning: dict[str, _Turning] = {}
        self._plugged: Mapping[str, str] | None = None
        self._further: dict[str, str] = {}
        """Roots that a proxy trusts besides that of the mesh."""
        self._moved: set[str] = set()
        """Who was given other roots, and certificates of another authority, and has not been waited for."""

    def plug_in(self, told: Mapping[str, str] | None) -> None:
        """Have this authority sign for the mesh, and be trusted; None: one made for it.

        Nobody trusts anything before this was said: Envoys that ask a control plane that is started anew wait.
        """
        rooted = self._secrets.find(sds.EVERYBODY, sds.ROOT) is not None
        if rooted and told == self._plugged:
            return
        self._plugged = told
        self._authorities.plug_in(told)
        self._secrets.put(sds.EVERYBODY, sds.ROOT, self._root())
        for node in self._spiffe:
            self._trust(node)
            self.certify(node)
            self._moved.add(node)

    def meet(self, node: str, spiffe: str, further: str = "") -> None:
        """Give a proxy its certificate, if its identity is new, and the roots that it trusts besides the mesh's."""
        if self._further.get(node, "") != further:
            self._further[node] = further
            self._trust(node)
            if node in self._spiffe:
                self._moved.add(node)
        if self._spiffe.get(node) != spiffe:
            self._spiffe[node] = spiffe
            self.certify(node)

    def moved(self) -> set[str]:
        """Who has got other roots or another signer's certificate since this was asked last."""
        moved, self._moved = self._moved & self._spiffe.keys(), set()
        return {node for node in moved if node not in self._secrets.withheld}

    def _trust(self, node: str) -> None:
        """Have a proxy trust what it shall."""
        further = self._further.get(node)
        if not further:
            self._secrets.drop(node, sds.ROOT)
            return
        self._secrets.put(node, sds.ROOT, self._root(further))

    def _root(self, further: str = "") -> bytes:
        """Whom to trust, and whom no more."""
        roots = f"{self._authorities.mesh.root.strip()}\n{further}"
        return sds.root_secret(sds.ROOT, roots, (self._plugged or {}).get("revoked", ""))

    def forget(self, node: str) -> None:
        """A proxy is gone."""
        self._spiffe.pop(node, None)
        self._further.pop(node, None)
        self.stop(node)
        self._secrets.forget(node)

    def certify(self, node: str, spiffe: str = "", **terms: Any) -> None:
        """Show another certificate from now on: the true one, unless told otherwise."""
        issued = self._authorities.issue(spiffe or self._spiffe[node], **terms)
        secret = sds.identity_secret(sds.IDENTITY, issued.certificate, issued.key)
        self._secrets.put(node, sds.IDENTITY, secret)

    def distrust(self, node: str) -> None:
        """Have it trust an authority that signed nobody's certificate, instead of the mesh's."""
        self._secrets.put(node, sds.ROOT, sds.root_secret(sds.ROOT, self._authorities.unknown.root))

    def reset(self, node: str) -> None:
        """The true certificate, and the true roots."""
        self.stop(node)
        self._trust(node)
        self.certify(node)

    async def delivered(self, node: str, deadline: float) -> bool:
        """Whether its Envoy has acknowledged certificate and root before the deadline."""

        def both() -> bool:
            return self._secrets.delivered(node, sds.IDENTITY) and self._secrets.delivered(node, sds.ROOT)

        return await self._secrets.signal.until(both, deadline)

    def rotate(self, node: str, every: float, lifetime: float) -> None:
        """Give it a new certificate again and again, the first one at once; seconds."""
        self.stop(node)

        async def turn() -> None:
            while True:
                await asyncio.sleep(every)  # the rhythm is what is asked for
                self.certify(node, not_after=lifetime)
                turning.count += 1

        self.certify(node, not_after=lifetime)
        turning = _Turning(asyncio.create_task(turn()), count=1)
        self._turning[node] = turning

    def rotated(self, node: str) -> int:
        """How many times its certificate was replaced since the rotation began."""
        turning = self._turning.get(node)
        return turning.count if turning else 0

    def stop(self, node: str) -> None:
        """End a rotation."""
        turning = self._turning.pop(node, None)
        if turning is not None:
            turning.task.cancel()


def terms(header: Mapping[str, Any]) -> dict[str, Any]:
    """How an unusual certificate differs."""
    found: dict[str, Any] = {key: float(header[key]) for key in ("not_before", "not_after") if key in header}
    if "ca" in header:
        found["signer"] = Signer(header["ca"])
    return found
