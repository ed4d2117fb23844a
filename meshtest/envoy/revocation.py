"""Lists of revoked certificates that policies name by their files (`caCrl`).

Envoy reads such a file itself, when the cluster or listener comes that names it. Files that a mesh mounts are nowhere
on this machine, so their text takes the place of their name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.envoy.tls_contexts import change_tls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envoy.config.core.v3 import base_pb2
    from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

Lists = tuple[tuple[str, str], ...]
"""Paths, and what stands there."""
_BEGIN = "-----BEGIN X509 CRL-----"


def lists_in(files: Mapping[str, str]) -> Lists:
    """The lists among the files of a proxy."""
    return tuple(sorted((path, text) for path, text in files.items() if _BEGIN in text))


def give_lists(socket: base_pb2.TransportSocket, lists: Lists) -> None:
    """Have a transport socket hold the lists that it names."""
    found = dict(lists)

    def change(tls: tls_pb2.CommonTlsContext) -> None:
        combined = tls.combined_validation_context.default_validation_context
        for has, context in (
            (tls.HasField("validation_context"), tls.validation_context),
            (tls.HasField("combined_validation_context"), combined),
        ):
            if has and context.HasField("crl") and context.crl.filename in found:
                context.crl.inline_string = found[context.crl.filename]

    if found:
        change_tls(socket, change)
