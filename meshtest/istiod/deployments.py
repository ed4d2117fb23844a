"""The pods behind Gateways of the Gateway API: istiod's deployment controller says what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from meshtest.mesh.gateway_api import asked, placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshtest.mesh.model import Manifest


class DeploymentController(Protocol):
    """What makes Deployments of Gateways: the engine."""

    def deployments(self, objects: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """What it makes of the Gateways among these objects."""


class GatewayDeployments:
    """Asks the controller, and only where something that it reads has changed."""

    def __init__(self, controller: DeploymentController) -> None:
        self._controller = controller
        self._asked: Sequence[Mapping[str, Any]] = ()
        self._made: Sequence[Mapping[str, Any]] = ()

    def of(self, manifests: Sequence[Manifest]) -> list[Manifest]:
        """The Deployments, Services and ServiceAccounts that a cluster would hold besides these manifests."""
        wanted = asked(manifests)
        if not wanted:
            return []
        if wanted != self._asked:
            self._made = self._controller.deployments(dict(body) for body in wanted)
            self._asked = wanted
        return placed(self._made, manifests)
