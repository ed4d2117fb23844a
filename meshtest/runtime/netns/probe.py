"""What this machine lets a sandbox do, tried out in a throwaway one; printed as JSON by the launcher."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from meshtest.runtime.netns import delaying, files, kernel, links, netlink, nft, rules

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOPBACK = 1


def report() -> None:
    """Print `{"problem": ..., "abilities": [...]}`."""
    problem = _first_problem()
    abilities = [name for name, attempt in _ABILITIES.items() if not problem and _try(attempt) is None]
    sys.stdout.write(json.dumps({"problem": problem, "abilities": abilities}))
    sys.stdout.flush()


def _first_problem() -> str | None:
    needs: dict[str, Callable[[], None]] = {
        "mounts": files.prepare,
        "links": _links,
        "nftables": _redirects,
        "cluster IPs": lambda: nft.commit(rules.router_messages()),
    }
    for name, attempt in needs.items():
        problem = _try(attempt)
        if problem is not None:
            return f"{name}: {problem}"
    return None


def _try(attempt: Callable[[], None]) -> str | None:
    try:
        attempt()
    except OSError as exc:
        return str(exc)
    return None


def _links() -> None:
    router = links.namespace_descriptor("net")
    kernel.unshare(kernel.CLONE_NEWNET)
    with netlink.Netlink(netlink.ROUTE) as route:
        route.send(links.pod_messages("10.244.0.2", 0, router))
    kernel.setns(router)


def _redirects() -> None:
    from meshtest.runtime.base import Interception  # noqa: PLC0415 - keeps the launcher's own start short

    kernel.unshare(kernel.CLONE_NEWNET)
    nft.commit(rules.redirect_messages(Interception()))


def _loss() -> None:
    kernel.unshare(kernel.CLONE_NEWNET)
    chain = [nft.table("probe"), nft.chain("probe", "loss")]
    nft.commit([*chain, nft.rule("probe", "loss", (nft.one_in(2), nft.leave()))])


def _netem() -> None:
    kernel.unshare(kernel.CLONE_NEWNET)
    with netlink.Netlink(netlink.ROUTE) as route:
        route.send([delaying.queue(_LOOPBACK, 0.0, 0.0)])


_ABILITIES: dict[str, Callable[[], None]] = {"PACKET_LOSS": _loss, "NETEM": _netem}
