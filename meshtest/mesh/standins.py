"""What a stand-in plays, as the annotations of its pod say: any workload, or a service that policies lean on.

meshtest.dev/standin: ext-authz | jwks | collector
meshtest.dev/allow-service-accounts: a, b        # ext-authz: whom it allows where no header says so
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ManifestError

if TYPE_CHECKING:
    from meshtest.mesh.model import Pod

STANDIN = "meshtest.dev/standin"
ALLOWED = "meshtest.dev/allow-service-accounts"
WORKLOAD, EXT_AUTHZ, KEY_SET, COLLECTOR = "workload", "ext-authz", "jwks", "collector"
PARTS = (WORKLOAD, EXT_AUTHZ, KEY_SET, COLLECTOR)
"""The words of `meshtest.standin.config.Plays`."""


def plays(pod: Pod) -> str:
    """What a pod's stand-in plays; raises ManifestError for a word that is none."""
    found = pod.annotations.get(STANDIN, WORKLOAD)
    if found not in PARTS:
        raise ManifestError(
            f"no stand-in plays {found!r}; expected one of {', '.join(PARTS)}",
            key=f"metadata.annotations[{STANDIN}]",
        )
    return found


def allowed_accounts(pod: Pod) -> tuple[str, ...]:
    """The service accounts that an external authorization service allows by itself."""
    return tuple(name.strip() for name in pod.annotations.get(ALLOWED, "").split(",") if name.strip())
