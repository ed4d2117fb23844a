"""How long Envoy holds a cluster or a listener back for a certificate that is a file and not there.

Envoy gives up after 15 s and goes on without it (503, or a reset); until then a changed cluster is the old one. Files
are there at once or not at all, so meshtest has Envoy reach the same end sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.envoy.secret_files import PREFIXES
from meshtest.envoy.tls_contexts import change_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envoy.config.core.v3 import base_pb2
    from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2

_MILLISECONDS = 100
_MARKERS = tuple(prefix.encode() for prefix in PREFIXES)


def names_files(raw: bytes) -> bool:
    """Whether a resource asks for certificates that are files; saves most of them from being searched."""
    return any(marker in raw for marker in _MARKERS)


def do_not_wait(socket: base_pb2.TransportSocket) -> None:
    """Have a transport socket wait only shortly for files."""
    change_tls(socket, _shorten)


def _shorten(tls: tls_pb2.CommonTlsContext) -> None:
    for secret in _secrets(tls):
        if secret.name.startswith(PREFIXES):
            secret.sds_config.initial_fetch_timeout.FromMilliseconds(_MILLISECONDS)


def _secrets(tls: tls_pb2.CommonTlsContext) -> Iterator[secret_pb2.SdsSecretConfig]:
    yield from tls.tls_certificate_sds_secret_configs
    if tls.HasField("validation_context_sds_secret_config"):
        yield tls.validation_context_sds_secret_config
    if tls.HasField("combined_validation_context"):
        yield tls.combined_validation_context.validation_context_sds_secret_config
