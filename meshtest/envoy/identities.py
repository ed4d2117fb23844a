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
        secrets.put(sds.EVERYBODY, sds.ROOT, sds.root_secret(sds.ROOT, authorities.mesh.root))

    def meet(self, node: str, spiffe: str) -> None:
        """Give a proxy its certificate, if its identity is new."""
        if self._spiffe.get(node) != spiffe:
            self._spiffe[node] = spiffe
            self.certify(node)

    def forget(self, node: str) -> None:
        """A proxy is gone."""
        self._spiffe.pop(node, None)
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
        """The true certificate, and the mesh's root."""
        self.stop(node)
        self._secrets.drop(node, sds.ROOT)
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
