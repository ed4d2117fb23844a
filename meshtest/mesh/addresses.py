"""Addresses of pods and Services: given, kept from the model before, or the lowest that is free.

pods      10.244.x.y
Services  10.96.x.y; 10.96.0.1 is the API server's and 10.96.0.10 the resolver's, as in a cluster
          198.18.x.y outside of it, of a LoadBalancer (RFC 2544: no network of a cluster, and none of the Internet)
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

POD_NETWORK = "10.244"
SERVICE_NETWORK = "10.96"
LOAD_BALANCERS = "198.18"
API_SERVER, RESOLVER = "10.96.0.1", "10.96.0.10"
PORT_PAST_AGENTS = 5053
"""Of the resolver: where Envoys ask, whose questions no agent captures."""
RESERVED = frozenset((API_SERVER, RESOLVER))
PER_BLOCK = 250


def assign(
    keys: Iterable[str],
    network: str,
    *,
    given: Mapping[str, str] | None = None,
    before: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """An address for every key.

    Args:
        keys: what needs an address, in order.
        network: the first two numbers.
        given: addresses that the manifests ask for.
        before: addresses of the model before; those of keys that are gone are given out last.
    """
    wanted = list(keys)
    found = {key: address for key, address in (given or {}).items() if key in set(wanted)}
    taken = {*found.values(), *RESERVED}
    for key in wanted:
        address = (before or {}).get(key)
        if key not in found and address and address not in taken:
            found[key] = address
            taken.add(address)
    free = _free(network, {*taken, *(before or {}).values()}, taken)
    return {key: found.get(key) or next(free) for key in wanted}


def _free(network: str, avoided: set[str], taken: set[str]) -> Iterator[str]:
    yield from (address for address in _every(network) if address not in avoided)
    yield from (address for address in _every(network) if address in avoided and address not in taken)


def _every(network: str) -> Iterator[str]:
    return (f"{network}.{block}.{number}" for block in range(256) for number in range(2, PER_BLOCK + 2))


def is_ipv4(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
